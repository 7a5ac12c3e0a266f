"""A replay leaves its place to a seed that came back from a crash and finds every place taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tune_select.scheduling import giving_way, slots
from tune_select.scheduling import scheduler as module
from tune_select.scheduling.scheduler import SeedReplayScheduler


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(giving_way.time, "monotonic", lambda: self.now)


class Controller:
    """As much of Tune's controller as choosing a trial looks at."""

    def __init__(self, *trials: Any) -> None:
        self.trials = trials
        self.search_alg = SimpleNamespace()

    def get_live_trials(self) -> list[Any]:
        return list(self.trials)


def trial(name: str, arm: str, status: str) -> Any:
    return SimpleNamespace(
        trial_id=name,
        config={"arm": arm},
        status=status,
        last_result={},
        num_failures=0,
        error_file=None,
        path=None,
        placement_group_factory=SimpleNamespace(required_resources={"CPU": 1.0}),
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    for name in ("is_starting", "reuses_actors"):
        monkeypatch.setattr(module, name, lambda *_: False)
    monkeypatch.setattr(module, "tell_search", lambda *_: None)
    monkeypatch.setattr(slots.ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(module, "bare", lambda controller: controller)
    monkeypatch.setattr(module.Snapshots, "take_if_due", lambda *_: None)
    return Clock(monkeypatch)


def report(scheduler: SeedReplayScheduler, controller: Any, replay: Any, epoch: int) -> str:
    result = {"epoch": epoch, "training_iteration": epoch, "waiting_for_interval": -1}
    return scheduler.on_trial_result(controller, replay, result)


def started(seed_status: str) -> tuple[SeedReplayScheduler, Controller, Any, Any, Any]:
    seed = trial("seed", "seed", seed_status)
    first, second = (trial(name, "cached", Trial.RUNNING) for name in ("first", "second"))
    scheduler, controller = SeedReplayScheduler(stream=True), Controller(seed, first, second)
    for each in controller.trials:
        scheduler.on_trial_add(controller, each)
    return scheduler, controller, seed, first, second


def test_a_replay_makes_room_once_its_seed_has_waited(clock: Clock) -> None:
    scheduler, controller, seed, first, second = started(Trial.PENDING)
    assert scheduler.choose_trial_to_run(controller) is seed
    clock.now += 0.9 * giving_way.SEED_MAY_WAIT_S
    assert report(scheduler, controller, first, 1) == TrialScheduler.CONTINUE, "too early"
    clock.now += 0.2 * giving_way.SEED_MAY_WAIT_S
    assert report(scheduler, controller, first, 2) == TrialScheduler.PAUSE
    assert list(scheduler._room.held) == ["first"], "it comes back once there is room"
    assert report(scheduler, controller, second, 2) == TrialScheduler.CONTINUE, "one is enough"
    clock.now += 1.1 * giving_way.BETWEEN_EVICTIONS_S
    assert report(scheduler, controller, second, 3) == TrialScheduler.PAUSE, "it still waits"


@pytest.mark.parametrize("status", [Trial.RUNNING, Trial.TERMINATED])
def test_no_replay_leaves_for_a_seed_that_does_not_wait(clock: Clock, status: str) -> None:
    scheduler, controller, seed, first, _ = started(status)
    if status == Trial.TERMINATED:
        scheduler.on_trial_complete(controller, seed, {"history_complete": True})
    scheduler.choose_trial_to_run(controller)
    clock.now += 10 * giving_way.SEED_MAY_WAIT_S
    scheduler.choose_trial_to_run(controller)
    assert report(scheduler, controller, first, 1) == TrialScheduler.CONTINUE


def test_a_replay_that_has_caught_up_is_held_until_its_interval_is_there(clock: Clock) -> None:
    scheduler, controller, seed, first, _ = started(Trial.RUNNING)
    waits = {"training_iteration": 1, "waiting_for_interval": 2}
    assert scheduler.on_trial_result(controller, first, waits) == TrialScheduler.PAUSE
    assert list(scheduler._room.held) == ["first"]
    for published, decided in ((2, TrialScheduler.PAUSE), (3, TrialScheduler.CONTINUE)):
        scheduler.on_trial_result(controller, seed, {"history_published": published})
        assert scheduler.on_trial_result(controller, first, waits) == decided
