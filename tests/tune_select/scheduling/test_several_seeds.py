"""One seed per value of an axis; each replay follows its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.experiment import Trial

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena
from tune_select.history import SubsetHistory
from tune_select.history.location import history_location
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler

pytestmark = [*RAY_WARNINGS]

FRACTIONS = [0.02, 0.1]


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with ray_session(2) as root, HistoryStore.start("several") as store:
        yield Arena(Path(root), store)


def by_fraction(arena: Arena, folder: Path) -> dict[str, Any]:
    return {"root": str(folder / "history"), "store": arena.store.name, "seed_by": ["fraction"]}


def seeds(history: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"learning_rate": 0.1, "fraction": f, "history": history} for f in FRACTIONS]


def test_each_replay_is_matched_to_its_seed(arena: Arena) -> None:
    """The toy itself checks that what it replays is of its own fraction's seed."""
    folder = arena.fresh()
    history = by_fraction(arena, folder)
    swept = arena.sweep(
        folder=folder,
        stream=True,
        arms=("cached", "full"),
        seed_configs=seeds(history),
        space={
            "history": history,
            "fraction": tune.grid_search(FRACTIONS),
            "learning_rate": tune.grid_search([0.1, 0.2]),
        },
    )
    assert swept.epochs("seed") == [4, 4]
    assert Counter(r.config["fraction"] for r in swept.of("cached")) == {0.02: 2, 0.1: 2}
    assert swept.epochs("cached") == [4] * 4
    for seed in swept.of("seed"):
        found = history_location(seed.config)
        assert isinstance(found, dict)
        whole = SubsetHistory.load(found["path"])
        assert whole.complete
        assert whole.identity.fraction == seed.config["fraction"]
    same_point = [
        r.config["configuration"] for r in swept.results if r.config["learning_rate"] == 0.1
    ]
    assert Counter(same_point) == {0: 3, 1: 3}  # each seed, and the two arms at its own point


@pytest.mark.slow
def test_a_replay_between_two_seeds_takes_the_nearest(arena: Arena) -> None:
    folder = arena.fresh()
    history = by_fraction(arena, folder)
    swept = arena.sweep(
        folder=folder,
        seed_configs=seeds(history),
        nearest_by=["fraction"],
        space={
            "history": history,
            "fraction": tune.grid_search([0.02, 0.03, 0.09]),
            "learning_rate": 0.1,
            "check": False,
        },
    )
    assert swept.epochs("cached") == [4] * 3
    places = {r.config["fraction"]: history_location(r.config) for r in swept.of("cached")}
    of_seeds = {r.config["fraction"]: history_location(r.config) for r in swept.of("seed")}
    assert places[0.02] == places[0.03] == of_seeds[0.02]
    assert places[0.09] == of_seeds[0.1]


@pytest.mark.slow
def test_one_failed_seed_of_two_ends_the_sweep_after_everything_else_is_done(arena: Arena) -> None:
    folder = arena.fresh()
    history = by_fraction(arena, folder)
    failing = seeds(history)
    failing[0]["die"] = {"arm": "seed", "epochs": [2], "folder": "always", "how": "raise"}
    with pytest.raises(tune.TuneError) as failed:
        arena.sweep(
            folder=folder,
            seed_configs=failing,
            space={
                "history": history,
                "fraction": tune.grid_search(FRACTIONS),
                "learning_rate": tune.grid_search([0.1, 0.2, 0.3]),
                "die": None,
            },
        )
    assert "the toy was told to fail" in str(failed.value)
    ended = tune.ExperimentAnalysis(str(folder / "sweep")).trials
    fates = Counter((t.config["arm"], t.config["fraction"], t.status) for t in ended)
    assert fates[("cached", 0.1, "TERMINATED")] == 3
    assert fates[("seed", 0.02, "ERROR")] == 1
    assert fates[("cached", 0.02, "TERMINATED")] == 0


class Controller:
    """As much of Tune's as the scheduler uses when it chooses."""

    def __init__(self, *trials: Trial) -> None:
        self.trials = trials
        self.search_alg = None
        self._trial_to_actor: dict[Trial, Any] = {}

    def get_live_trials(self) -> set[Trial]:
        return {trial for trial in self.trials if not trial.is_finished()}

    def _set_trial_status(self, trial: Trial, status: str) -> None:
        trial.set_status(status)

    def checkpoint(self, **named: Any) -> None:
        pass


def test_replays_that_can_go_on_are_admitted_before_a_failed_seed_ends_the_sweep() -> None:
    """One seed has failed; the other's last report came with nothing else running."""

    def trial(arm: str, history: str) -> Trial:
        return Trial("Toy", stub=True, config={"arm": arm, "history": history})

    failing, whole, replay = trial("seed", "a"), trial("seed", "b"), trial("cached", "b")
    controller = Controller(failing, whole, replay)
    scheduler = SeedReplayScheduler(stream=False)
    for added in controller.trials:
        scheduler.on_trial_add(controller, added)
    assert scheduler.choose_trial_to_run(controller) is failing
    assert replay.status == Trial.PAUSED
    failing.set_status(Trial.ERROR)
    scheduler.on_trial_error(controller, failing)
    whole.set_status(Trial.TERMINATED)
    scheduler.on_trial_complete(
        controller, whole, {"history_published": 2, "history_complete": True}
    )
    assert scheduler.choose_trial_to_run(controller) is replay
    assert replay.status == Trial.PENDING
