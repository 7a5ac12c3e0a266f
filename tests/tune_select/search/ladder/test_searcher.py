"""Searchers at the foot of a ladder: what they are told, and that a saved state goes on."""

from __future__ import annotations

import json
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.search import Searcher

from tune_select.arms import Arm
from tune_select.search.ladder import Rules, Rung, ladder
from tune_select.search.ladder.ladder import score_of
from tune_select.search.ladder.sampled import SampledPoints
from tune_select.search.ladder.searcher import LadderSearcher

RUNGS = [Rung(fraction=0.1).arm("random", {}, 9), Rung(fraction=0.3).arm("random", {}, 9)]


class Learner(Searcher):
    """Proposes 0.0, 0.1, ... and writes down what it is told; may insist on being told."""

    def __init__(self, most_open: int = 1000) -> None:
        super().__init__(metric="accuracy", mode="max")
        self.made: list[str] = []
        self.told: dict[str, dict[str, Any] | None] = {}
        self.most_open = most_open

    def set_search_properties(self, *args: Any, **spec: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if len(self.made) - len(self.told) >= self.most_open:
            return None
        self.made.append(trial_id)
        return {"x": len(self.made) / 10}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        assert trial_id not in self.told
        assert (result is None) == error
        self.told[trial_id] = result

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text(json.dumps([self.made, self.told]))

    def restore(self, checkpoint_path: str) -> None:
        self.made, self.told = json.loads(Path(checkpoint_path).read_text())


def climber(inner: Searcher | None, samples: int = 9, seeds: tuple[int, ...] = (0,)) -> Any:
    generator, _ = ladder(
        inner,
        space={"x": tune.uniform(0, 1), "max_epochs": 9},
        rungs=[*RUNGS, Arm.of("full")],
        rules=Rules(3, keep=3, confirm=1),
        metric="accuracy",
        seeds=seeds,
        num_samples=samples,
        random_state=1,
    )
    searcher = generator.searcher  # type: ignore[attr-defined]
    assert isinstance(searcher, LadderSearcher)
    searcher.set_search_properties("accuracy", "max", {})
    return searcher


def step(searcher: Any, running: dict[str, Any], slots: int, draws: random.Random) -> bool:
    """Fill the slots and end one trial; whether there was anything to do."""
    while len(running) < slots:
        trial = f"t{searcher.counted}"
        config = searcher.suggest(trial)
        if config is None or config == Searcher.FINISHED:
            break
        searcher.counted += 1
        running[trial] = config
    if not running:
        return False
    trial = draws.choice(sorted(running))
    config = running.pop(trial)
    if config["x"] == 0.5:
        searcher.on_trial_complete(trial, error=True)
    else:
        searcher.on_trial_complete(trial, {"accuracy": config["x"], "val_loss": 1 - config["x"]})
    return True


def finish(searcher: Any, slots: int = 2, seed: int = 0) -> None:
    searcher.counted = getattr(searcher, "counted", 0)
    running: dict[str, Any] = {}
    draws = random.Random(seed)
    while step(searcher, running, slots, draws):
        pass


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_learning_searcher_is_told_once_of_everybody_in_the_order_of_the_climb(
    seeds: tuple[int, ...], slots: int
) -> None:
    inner = Learner()
    searcher = climber(inner, seeds=seeds)
    finish(searcher, slots)
    assert len(inner.told) == len(inner.made) == 9
    climb = searcher._order.climb
    told = {int(key.split("_")[1]): value for key, value in inner.told.items()}
    assert told.pop(4) is None  # 0.5 failed with every training seed
    values = {number: value["accuracy"] for number, value in told.items() if value}
    for number, value in values.items():
        rung = min(climb.highest(number), climb.top - 1)
        # Nobody who stayed low is above anybody who climbed, whose full training comes too late.
        assert rung < value < (climb.top + 1 if rung == climb.top - 1 else rung + 1)
    assert climb.best() == max(values, key=values.__getitem__) == 8


class WithBudgets(Learner):
    """Learns as TuneBOHB does: of results with a budget, and of an end nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.learnt: dict[str, float] = {}

    def on_pause(self, trial_id: str) -> None:
        """What tells its kind."""

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        assert result["hyperband_info"] == {"budget": 1.0}
        assert trial_id not in self.told
        self.learnt[trial_id] = result["accuracy"]


def test_a_searcher_that_learns_of_budgets_is_told_the_same() -> None:
    inner = WithBudgets()
    finish(climber(inner))
    told = {trial: result["accuracy"] for trial, result in inner.told.items() if result}
    assert inner.learnt == told
    assert len(told) == 8  # the ninth failed


def test_a_searcher_that_waits_for_results_is_told_what_there_is() -> None:
    inner = Learner(most_open=2)
    finish(climber(inner), slots=2)
    assert len(inner.told) == len(inner.made) == 9


def test_points_of_a_space_are_drawn_one_at_a_time() -> None:
    searcher = climber(None, samples=4)
    first = searcher.suggest("a")
    assert isinstance(searcher.searcher, SampledPoints)
    assert searcher.searcher._drawn == 1
    assert set(first) >= {"x", "rung", "configuration", "arm", "seed"}


@pytest.mark.parametrize("kind", [Learner, lambda: None])
def test_a_saved_state_goes_on_where_it_was(kind: Any, tmp_path: Path) -> None:
    whole = climber(kind())
    finish(whole, slots=1)
    begun = climber(kind())
    begun.counted, running = 0, {}
    for _ in range(7):
        step(begun, running, 1, random.Random(0))
    begun.save(str(tmp_path / "inner"))
    state = pickle.dumps(begun.get_state())
    resumed = climber(kind())
    resumed.restore(str(tmp_path / "inner"))
    resumed.set_state(pickle.loads(state))
    resumed.counted = begun.counted
    finish(resumed, slots=1)
    expected, found = whole._order.climb, resumed._order.climb
    assert repr(found.scores) == repr(expected.scores)  # NaN is like no other
    assert found.best() == expected.best()
    if isinstance(whole.searcher, Learner):
        assert resumed.searcher.told == whole.searcher.told


def test_a_report_without_the_metric_is_no_reason_to_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TUNE_DISABLE_STRICT_METRIC_CHECKING", raising=False)
    assert climber(Learner()).set_search_properties("accuracy", "max", {}) is True
    assert os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] == "1"


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_of_two_scores_the_larger_one_is_the_better_whatever_the_metric(
    mode: str, sign: int
) -> None:
    found = score_of({"val_x": 3.0, "val_loss": 2.0}, metric="val_x", mode=mode, loss="val_loss")
    assert (found.metric, found.loss) == (sign * 3.0, 2.0)


def test_replays_of_a_ladder_may_start_once_their_seed_says_that_all_is_published() -> None:
    generator, _ = ladder(
        Learner(),
        space={"x": tune.uniform(0, 1), "max_epochs": 9},
        rungs=[Rung(fraction=0.1).arm("cached", {}, 9), Arm.of("full")],
        rules=Rules(2),
        metric="accuracy",
        seed_configs=[{"x": 0.5}],
        replay_arms=["10%"],
        history_of=lambda config: "h",
        num_samples=3,
    )
    searcher = generator.searcher  # type: ignore[attr-defined]
    searcher.set_search_properties("accuracy", "max", {})
    assert searcher.suggest("seed")["rung"] == -1
    assert searcher.suggest("a") is None
    searcher.on_trial_result("seed", {"history_published": 3, "history_complete": True})
    assert searcher.suggest("a")["rung"] == 0
    assert generator.total_samples == 1 + 3 + 2


@pytest.mark.parametrize("samples", [0, -2])
def test_a_ladder_of_no_points_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match=f"num_samples must be at least 1, .* got {samples}"):
        climber(None, samples=samples)


def test_a_ladder_has_as_many_rungs_as_its_rules() -> None:
    with pytest.raises(ValueError, match="rules are for 4 rungs, but there are 3"):
        ladder(
            None,
            space={"x": tune.uniform(0, 1)},
            rungs=[*RUNGS, Arm.of("full")],
            rules=Rules(4),
            metric="accuracy",
        )
