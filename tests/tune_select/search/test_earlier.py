"""A search that goes on from an earlier one: nothing is trained twice, and the searcher knows."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from ray import tune
from ray.tune.experiment import Experiment
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.searcher import Searcher

from tests.tune_select.search.test_trial_order import COMPLETE, crossing, drawing, hand_out
from tune_select.arms import Arm
from tune_select.search.earlier import Earlier, EarlierPoint, can_be_told, holds, tell
from tune_select.search.fixed_points import FixedPoints
from tune_select.search.searcher import SeedFirstSearcher, inner_id
from tune_select.search.seed_first import seed_first
from tune_select.search.trial_order import Exhausted, TrialOrder


def rated(*rates: Any, more: int = 2, histories: frozenset[str] = frozenset({"h"})) -> Earlier:
    points = [EarlierPoint({"rate": r}, 1 + i, float(r) / 10) for i, r in enumerate(rates)]
    return Earlier(tuple(points), more, histories)


def test_known_points_and_the_seed_are_not_handed_out_again() -> None:
    order = TrialOrder(crossing(), earlier=rated(0, 2.0))
    jobs = hand_out(order, points=9)
    assert not any(job.is_seed for job in jobs)
    assert [job.config["rate"] for job in jobs] == [1] * 4 + [3] * 4
    assert {job.number for job in jobs} == {3, 4}  # the numbers go on where the old ones end
    with pytest.raises(Exhausted):
        order.next(drawing(9), eager=True)
    assert order.total(99) == 2 * 2 * 2


def test_a_space_without_a_new_point_ends_the_search() -> None:
    order = TrialOrder(crossing(), earlier=rated(1))
    with pytest.raises(Exhausted):
        order.next(lambda drawn: {"rate": 1}, eager=True)


def test_a_seed_whose_history_is_missing_runs() -> None:
    order = TrialOrder(crossing(), earlier=rated(0, histories=frozenset()))
    first = order.next(drawing(9), eager=False)
    assert first is not None
    assert first.is_seed
    order.handed_out("s", first)
    order.note_result("s", COMPLETE)
    assert len(hand_out(order, points=9)) == 2 * 2 * 2


def test_what_an_arm_changed_and_where_data_lie_makes_no_new_point() -> None:
    trained = Arm.of("longer", {"selector": "full", "epochs": 9}).on(
        {"rate": 1, "epochs": 3, "data": {"root": "a"}, "seed": 4, "configuration": 0}
    )
    earlier = Earlier((EarlierPoint(trained, 0, None),), 1)
    assert earlier.find({"rate": 1.0, "epochs": 3, "data": {"root": "b"}}) is not None
    assert earlier.find({"rate": 1.5, "epochs": 3}) is None


@pytest.mark.parametrize(
    ("domain", "value", "held"),
    [
        (tune.loguniform(0.1, 1), 0.1, True),
        (tune.loguniform(0.1, 1), 2.0, False),
        (tune.uniform(0, 1), "a", False),
        (tune.randint(1, 4), 3, True),
        (tune.randint(1, 4), 4, False),
        (tune.qrandint(2, 8, 2), 8, True),
        (tune.choice(["a", "b"]), "c", False),
        (tune.grid_search([1, 2]), 2, True),
        (tune.grid_search([1, 2]), 3, False),
        (0.5, 0.5, True),
        (0.5, 0.6, False),
    ],
)
def test_what_a_domain_holds(domain: Any, value: Any, held: bool) -> None:
    assert holds(domain, {"a": {"b": value}}, "a.b") is held
    assert not holds(domain, {"a": {}}, "a.b")


def points(*configs: dict[str, Any]) -> list[EarlierPoint]:
    return [EarlierPoint(config, i, float(i)) for i, config in enumerate(configs)]


def test_optuna_learns_of_the_points_inside_its_space() -> None:
    domains = {"rate": tune.loguniform(0.01, 1), "model": {"width": tune.choice([8, 16])}}
    searcher = OptunaSearch(metric="score", mode="max", seed=0)
    searcher.set_search_properties("score", "max", domains)
    given = points(
        {"rate": 0.1, "model": {"width": 8}},
        {"rate": 5.0, "model": {"width": 8}},
        {"rate": 0.1, "model": {"width": 32}},
        {"rate": 0.2, "model": {"width": 16}},
    )
    unknown = [EarlierPoint({"rate": 0.3, "model": {"width": 8}}, 9, None)]
    assert tell(searcher, domains, [*given, *unknown]) == 2
    assert [(t.params, t.value) for t in searcher._ot_study.trials] == [
        ({"rate": 0.1, "model/width": 8}, 0.0),
        ({"rate": 0.2, "model/width": 16}, 3.0),
    ]


def test_optuna_learns_of_points_of_a_define_by_run_space() -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        if trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd":
            trial.suggest_float("momentum", 0, 0.9)
        return {"epochs": 3}

    searcher = OptunaSearch(space=space, metric="score", mode="max", seed=0)
    given = points(
        {"optimizer": "sgd", "momentum": 0.5, "epochs": 3},
        {"optimizer": "sgd", "epochs": 3},
        {"optimizer": "sgd", "momentum": 0.95},
        {"optimizer": "adam", "momentum": 0.5},
    )
    assert tell(searcher, {}, given) == 2
    assert [t.params for t in searcher._ot_study.trials] == [
        {"optimizer": "sgd", "momentum": 0.5},
        {"optimizer": "adam"},
    ]


class Asked(Searcher):
    """Proposes rates in their order and writes down what it is told."""

    def __init__(self) -> None:
        super().__init__(metric="score", mode="max")
        self.told: list[tuple[str, Any]] = []
        self.added: list[float] = []

    def set_search_properties(self, *args: Any, **info: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return {"rate": int(trial_id[-5:])}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.told.append((trial_id, result))

    def add_evaluated_point(self, parameters: dict[str, Any], value: float, **info: Any) -> None:
        self.added.append(parameters["rate"])


def test_a_proposal_that_was_trained_before_is_answered_with_what_was_found() -> None:
    inner, order = Asked(), TrialOrder(crossing(), earlier=rated(0, 2))
    space = {"rate": tune.randint(0, 99), "history": "h"}
    searcher = SeedFirstSearcher(inner, order, space=space, num_samples=-1, primary_arm="cached")
    searcher.set_search_properties("score", "max", {})
    assert inner.added == [0, 2]
    given = []
    while (config := searcher.suggest(f"t{len(given)}")) != Searcher.FINISHED:
        given.append(config["rate"])
    assert given == [1] * 4 + [3] * 4
    assert inner.told == [(inner_id(0), {"score": 0.0}), (inner_id(2), {"score": 0.2})]


def test_which_searchers_can_be_told() -> None:
    class Deaf(Searcher):
        pass

    assert can_be_told(OptunaSearch(metric="score", mode="max"))
    assert can_be_told(FixedPoints([{"rate": 1}]))
    assert not can_be_told(Deaf())


def proposed(space: dict[str, Any], earlier: Earlier) -> list[dict[str, Any]]:
    algorithm, constants = seed_first(
        None, space=space, seed_configs=[], arms=["full"], replay_arms=[], earlier=earlier
    )
    algorithm.add_configurations([Experiment("more", no_training, config=constants)])
    found = []
    while (trial := algorithm.next_trial()) is not None:
        found.append(trial.config)
    assert algorithm.is_finished()
    return found


def no_training(config: dict[str, Any]) -> None:
    """What an experiment needs to have a name for."""


def test_a_grid_is_gone_through_once_and_what_is_drawn_until_there_are_enough() -> None:
    grid = {"rate": tune.grid_search([1, 2, 3, 4])}
    assert [c["rate"] for c in proposed(grid, rated(2, 4, more=9))] == [1, 3]
    assert [c["rate"] for c in proposed(grid, rated(2, 4, more=1))] == [1]
    drawn = proposed({"rate": tune.randint(0, 9)}, rated(2, 4, more=5))
    assert len(drawn) == 5
    assert not {2, 4} & {c["rate"] for c in drawn}
    assert [c["configuration"] for c in drawn] == [3, 4, 5, 6, 7]


def test_repeats_in_a_row_end_a_search_and_a_new_point_counts_them_anew() -> None:
    """Two hundred, beyond the points that there are."""
    order = TrialOrder(crossing(seed_configs=[], replay_arms=()), earlier=rated(0, 1, 2, more=9))
    asked = []

    def draw(drawn: int) -> dict[str, Any]:
        asked.append(drawn)
        return {"rate": 7 if drawn == 150 else drawn % 3}

    jobs = [order.next(draw, eager=True) for _ in range(4)]  # two arms with two seeds
    assert {job.config["rate"] for job in jobs if job} == {7}
    with pytest.raises(Exhausted):
        order.next(draw, eager=True)
    assert asked == list(range(151 + 204))
