"""Searchers behind seed trials, asked and told as Tune does it, without Ray."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from ray import tune
from ray.tune.experiment import Experiment
from ray.tune.search import Searcher

from tune_select.search.crossing import Crossing
from tune_select.search.searcher import SeedFirstSearcher, inner_id
from tune_select.search.seed_first import seed_first
from tune_select.search.trial_order import TrialOrder

COMPLETE = {"history_published": 2, "history_complete": True, "epoch": 1}
SPACE = {"rate": tune.uniform(0, 1), "depth": 3, "history": "h"}


class Inner(Searcher):
    """Proposes 0.0, 0.1, ... and writes down what it is asked and told."""

    def __init__(self, takes_space: bool = True, points: int = 10) -> None:
        super().__init__(metric="score", mode="max")
        self.noted: list[tuple[Any, ...]] = []
        self.takes_space, self.points = takes_space, points

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        self.noted.append(("space", metric, mode, sorted(config)))
        return self.takes_space

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        return max_concurrent > 1

    def suggest(self, trial_id: str) -> Any:
        number = int(trial_id.rpartition("_")[2])
        return {"rate": number / 10} if number < self.points else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.noted.append(("result", trial_id, result["score"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.noted.append(("end", trial_id, result and result["score"], error))

    def save(self, checkpoint_path: str) -> None:
        self.noted.append(("save", checkpoint_path))

    def restore(self, checkpoint_path: str) -> None:
        self.noted.append(("restore", checkpoint_path))


class Pausing(Inner):
    def on_pause(self, trial_id: str) -> None:
        self.noted.append(("pause", trial_id))

    def on_unpause(self, trial_id: str) -> None:
        self.noted.append(("unpause", trial_id))


def order(**changes: Any) -> TrialOrder:
    given = {"seed_configs": [{"rate": 0.7, "depth": 3, "history": "h"}], "seeds": (0,)}
    return TrialOrder(Crossing(**{"arms": ("cached", "full"), **given, **changes}))


def searcher(inner: Searcher, of: TrialOrder, num_samples: int = 2, **space: Any) -> Any:
    return SeedFirstSearcher(
        inner, of, space={**SPACE, **space}, num_samples=num_samples, primary_arm="cached"
    )


def handed_out(found: Any, first: int = 0) -> dict[str, dict[str, Any]]:
    """Every trial that can be handed out now, by id."""
    trials: dict[str, dict[str, Any]] = {}
    while True:
        name = f"t{first + len(trials)}"
        suggested = found.suggest(name)
        if suggested is None or suggested == Searcher.FINISHED:
            return trials
        trials[name] = suggested


def test_a_search_from_its_seed_to_its_end() -> None:
    inner = Pausing()
    found = searcher(inner, order())
    assert found.set_search_properties("score", "max", {}) is True
    assert inner.noted == [("space", "score", "max", ["rate"])]
    assert [found.set_max_concurrency(n) for n in (1, 2)] == [False, True]
    assert found.metric == "score"

    (seed,) = handed_out(found).items()
    assert seed[1] == {"rate": 0.7, "history": "h", "arm": "seed", "seed": 0, "configuration": 0}
    assert found.suggest("later") is None, "a history that is not open has no replays"
    found.on_trial_result("t0", COMPLETE)
    trials = handed_out(found, 1)
    assert [(t["rate"], t["arm"], t["configuration"]) for t in trials.values()] == [
        (0.0, "cached", 1), (0.0, "full", 1), (0.1, "cached", 2), (0.1, "full", 2),
    ]  # fmt: skip
    assert all("depth" not in trial for trial in trials.values()), "the space holds it already"
    assert found.suggest("none") == Searcher.FINISHED

    del inner.noted[:]
    for name in ("t0", *trials, "stranger"):
        found.on_pause(name)
        found.on_trial_result(name, {"epoch": 1, "score": 0.5})
        found.on_unpause(name)
    first, second = inner_id(0), inner_id(1)
    assert inner.noted == [
        event
        for point in (first, second)
        for event in (("pause", point), ("result", point, 0.5), ("unpause", point))
    ]
    del inner.noted[:]
    for name in ("t1", "t2"):
        found.on_trial_complete(name, {"epoch": 2, "score": 0.75})
    for name in ("t3", "t4"):
        found.on_trial_complete(name, None, error=True)
    assert inner.noted == [("end", first, 0.75, False), ("end", second, None, True)]
    found.save("there")
    found.restore("here")
    assert inner.noted[2:] == [("save", "there"), ("restore", "here")]


def test_a_searcher_that_hears_of_no_pauses_is_told_of_none() -> None:
    inner = Inner()
    found = searcher(inner, order(seed_configs=[], replay_arms=()))
    (name,) = list(handed_out(found))[:1]
    found.on_pause(name)
    found.on_unpause(name)
    assert inner.noted == []


def test_an_end_of_its_own_ends_the_search() -> None:
    found = searcher(Inner(points=1), order(seed_configs=[], replay_arms=()), num_samples=-1)
    assert len(handed_out(found)) == 2
    assert found.suggest("next") == Searcher.FINISHED


def test_enough_is_enough() -> None:
    found = searcher(Inner(), order(seed_configs=[], replay_arms=()), num_samples=9)
    assert found.suggest("t0")["arm"] == "cached"
    found.draw_no_more()
    assert [trial["arm"] for trial in handed_out(found, 1).values()] == ["full"]


def test_the_schedulers_word_on_room_and_failures_reaches_the_order() -> None:
    of = order(arms=("cached",))
    found = searcher(Inner(), of)
    assert list(handed_out(found)) == ["t0"]
    found.set_room(1, frozenset({"h"}))
    assert len(handed_out(found, 1)) == 1, "there is room for one beside its seed"
    found.on_trial_complete("t1", {"score": 1.0, "epoch": 1})
    found.seed_failed("t0")
    assert len(handed_out(found, 2)) == 1, "it cannot run, so that the scheduler ends the run"


def test_a_saved_state_goes_on_where_it_was() -> None:
    found, later = (searcher(Inner(), order(), num_samples=3) for _ in range(2))
    handed_out(found)
    found.on_trial_result("t0", COMPLETE)
    found.suggest("t1")
    found.seed_failed("t0")
    later.set_state(found.get_state())
    rest = handed_out(later, 2)
    assert [(t["rate"], t["arm"]) for t in rest.values()] == [
        (0.0, "full"), (0.1, "cached"), (0.1, "full"), (0.2, "cached"), (0.2, "full"),
    ]  # fmt: skip
    later.on_trial_result("t1", {"epoch": 1, "score": 0.25})
    assert later.searcher.noted == [("result", inner_id(0), 0.25)]


def test_room_of_before_a_restore_is_forgotten() -> None:
    """The seed has no place yet: the scheduler says anew what there is beside it."""
    found, later = (searcher(Inner(), order(arms=("cached",))) for _ in range(2))
    assert list(handed_out(found)) == ["t0"]
    found.set_room(2, frozenset({"h"}))
    later.set_state(found.get_state())
    assert handed_out(later, 1) == {}
    later.set_room(1, frozenset({"h"}))
    assert len(handed_out(later, 1)) == 1


def test_a_searcher_with_a_space_of_its_own_goes_with_constants_alone() -> None:
    alone = searcher(Inner(takes_space=False), order())
    with pytest.raises(ValueError, match=r"Inner has a space of its own.*\['rate'\]"):
        alone.set_search_properties("score", "max", {})
    constant = searcher(Inner(takes_space=False), order(), rate=0.5)
    assert constant.set_search_properties("score", "max", {}) is False


def no_training(config: dict[str, Any]) -> None:
    raise AssertionError


def test_sampling_hands_out_as_many_as_may_live_and_names_them_by_what_varies() -> None:
    algorithm, constants = seed_first(
        None, space={"rate": {"grid_search": [0.1, 0.2]}, "depth": 3}, seed_configs=[],
        arms=["full", "random"], replay_arms=[], num_samples=2, max_concurrent=3,
    )  # fmt: skip
    algorithm.add_configurations([Experiment("sampled", no_training, config=constants)])
    assert algorithm.total_samples == 8
    begun = [algorithm.next_trial() for _ in range(4)]
    assert [trial is None for trial in begun] == [False, False, False, True]
    trials = [trial for trial in begun if trial is not None]
    assert [trial.evaluated_params for trial in trials] == [
        {"rate": rate, "arm": arm, "seed": 0, "configuration": number}
        for rate, arm, number in ((0.1, "full", 0), (0.1, "random", 0), (0.2, "full", 1))
    ]
    assert len({trial.trial_id for trial in trials}) == 3
    algorithm.on_trial_complete(trials[0].trial_id, {"epoch": 1})
    assert algorithm.next_trial() is not None, "a place came free"
    assert algorithm.next_trial() is None
    assert not algorithm.is_finished()
    algorithm.draw_no_more()
    algorithm.on_trial_complete(trials[1].trial_id, None, error=True)
    assert algorithm.next_trial() is None, "what was drawn is handed out"
    assert algorithm.is_finished()


def test_sampling_ends_with_its_samples_and_baselines_wait_for_no_history() -> None:
    algorithm, constants = seed_first(
        None, space={"rate": tune.uniform(0, 1), "history": "h"}, num_samples=3,
        seed_configs=[{"rate": 0.5, "history": "h"}], arms=["cached", "full"],
    )  # fmt: skip
    algorithm.add_configurations([Experiment("sampled", no_training, config=constants)])
    first = [algorithm.next_trial() for _ in range(5)]
    assert [trial and trial.config["arm"] for trial in first] == ["seed", *["full"] * 3, None]
    algorithm.on_trial_result(first[0].trial_id, COMPLETE)
    rest = [algorithm.next_trial() for _ in range(4)]
    assert [trial and trial.config["arm"] for trial in rest] == [*["cached"] * 3, None]
    assert algorithm.is_finished()
    assert len({trial.config["rate"] for trial in first[1:4]}) == 3


def test_sampling_learns_what_seeds_publish_and_whether_they_failed() -> None:
    def started(**given: Any) -> Any:
        algorithm, constants = seed_first(
            None, space={"rate": {"grid_search": [0.1, 0.2]}, "history": "h"},
            seed_configs=[{"rate": 0.5, "history": "h"}], arms=["cached"], **given,
        )  # fmt: skip
        algorithm.add_configurations([Experiment("sampled", no_training, config=constants)])
        return algorithm, algorithm.next_trial()

    algorithm, seed = started()
    assert seed.config["arm"] == "seed"
    assert algorithm.next_trial() is None
    algorithm.set_room(1, frozenset({"h"}))
    assert algorithm.next_trial().config["arm"] == "cached"
    assert algorithm.next_trial() is None, "there was room for one"
    algorithm.on_trial_result(seed.trial_id, COMPLETE)
    assert algorithm.next_trial() is not None

    algorithm, seed = started()
    algorithm.on_trial_complete(seed.trial_id, COMPLETE)
    assert [algorithm.next_trial().config["arm"] for _ in range(2)] == ["cached"] * 2

    algorithm, seed = started()
    algorithm.on_trial_complete(seed.trial_id, None, error=True)
    assert algorithm.next_trial().config["arm"] == "cached", "so that the scheduler ends the run"
    assert algorithm.next_trial() is None, "one is enough"

    algorithm, seed = started()
    algorithm.seed_failed(seed.trial_id)
    assert algorithm.next_trial().config["arm"] == "cached", "so that the scheduler ends the run"

    algorithm, seed = started(num_samples=-1)
    assert algorithm.total_samples == sys.maxsize
    saved = algorithm.get_state()
    algorithm.seed_failed(seed.trial_id)
    algorithm.set_state(saved)
    assert algorithm.next_trial() is None, "a failed seed may be tried again"
