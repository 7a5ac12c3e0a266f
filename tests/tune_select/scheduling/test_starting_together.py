"""Processes of replays come up while that of their seed does, and never in its place."""

from __future__ import annotations

from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tests.tune_select.scheduling.test_making_room import Controller, trial
from tune_select.scheduling import scheduler as module
from tune_select.scheduling import slots
from tune_select.scheduling.scheduler import SeedReplayScheduler

CPUS = 3.0


class Tune(Controller):
    """As much of Tune's controller as parking a trial looks at, too."""

    def __init__(self, *trials: Any) -> None:
        super().__init__(*trials)
        self.starting: list[Any] = []
        self.told: list[tuple[str, tuple[Any, ...]]] = []

    def _set_trial_status(self, trial: Any, status: str) -> None:
        trial.status = status


@pytest.fixture(autouse=True)
def tune(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "is_starting", lambda controller, trial: trial in controller.starting
    )
    monkeypatch.setattr(module, "draw_ahead", lambda _: None)
    monkeypatch.setattr(
        module, "tell_search", lambda controller, name, *said: controller.told.append((name, said))
    )
    monkeypatch.setattr(
        "tune_select.scheduling.waiting_room.is_starting",
        lambda controller, trial: trial in controller.starting,
    )
    monkeypatch.setattr(slots.ray, "cluster_resources", lambda: {"CPU": CPUS})
    monkeypatch.setattr(module, "bare", lambda controller: controller)
    monkeypatch.setattr(module.Snapshots, "take_if_due", lambda *_: None)


def added(*trials: Any, stream: bool = True) -> tuple[SeedReplayScheduler, Tune]:
    scheduler, controller = SeedReplayScheduler(stream=stream), Tune(*trials)
    for each in trials:
        scheduler.on_trial_add(controller, each)
    return scheduler, controller


def begun(*, replays: int) -> tuple[SeedReplayScheduler, Tune, Any, list[Any]]:
    seed = trial("seed", "seed", Trial.PENDING)
    waiting = [trial(f"replay{n}", "cached", Trial.PENDING) for n in range(replays)]
    return *added(seed, *waiting), seed, waiting


def room_told(controller: Tune) -> Any:
    """What the search was last told: how many replays may start, behind how many histories."""
    told = [said for name, said in controller.told if name == "set_room"]
    return (told[-1][0], len(told[-1][1])) if told else None


def test_while_a_seed_waits_for_its_place_no_replay_may_take_it() -> None:
    scheduler, controller, seed, waiting = begun(replays=3)
    assert scheduler.choose_trial_to_run(controller) is seed
    assert [replay.status for replay in waiting] == [Trial.PAUSED] * 3
    assert room_told(controller) is None


def test_once_its_process_is_on_its_way_theirs_start_on_all_other_slots() -> None:
    scheduler, controller, seed, waiting = begun(replays=3)
    scheduler.choose_trial_to_run(controller)
    controller.starting.append(seed)
    chosen = scheduler.choose_trial_to_run(controller)
    assert [replay.status for replay in waiting] == [Trial.PENDING, Trial.PENDING, Trial.PAUSED]
    assert chosen is waiting[0]
    assert room_told(controller) == (0, 1)


def test_a_search_that_draws_as_it_goes_is_told_of_the_room() -> None:
    scheduler, controller, seed, _ = begun(replays=0)
    controller.starting.append(seed)
    scheduler.choose_trial_to_run(controller)
    assert room_told(controller) == (CPUS - 1, 1)


def test_a_seed_that_lost_its_place_again_is_no_longer_followed() -> None:
    """Its process died on its way up: it waits for resources like at first."""
    scheduler, controller, seed, waiting = begun(replays=1)
    controller.starting.append(seed)
    scheduler.choose_trial_to_run(controller)
    controller.starting.clear()
    late = trial("late", "cached", Trial.PENDING)
    controller.trials = (*controller.trials, late)
    scheduler.on_trial_add(controller, late)
    assert scheduler.choose_trial_to_run(controller) is seed
    assert late.status == Trial.PAUSED
    assert waiting[0].status == Trial.PENDING


def test_without_streaming_replays_wait_for_the_whole_history() -> None:
    seed, replay = trial("seed", "seed", Trial.PENDING), trial("a", "cached", Trial.PENDING)
    scheduler, controller = added(seed, replay, stream=False)
    controller.starting.append(seed)
    assert scheduler.choose_trial_to_run(controller) is None
    assert replay.status == Trial.PAUSED


def test_arms_that_are_no_replays_are_not_concerned() -> None:
    seed, full = trial("seed", "seed", Trial.PENDING), trial("full", "full", Trial.PENDING)
    scheduler, controller = added(seed, full)
    controller.starting.append(seed)
    assert scheduler.choose_trial_to_run(controller) is full
    assert room_told(controller) == (CPUS - 2, 1)


def test_one_replay_finds_out_that_the_first_interval_is_late_for_all() -> None:
    """Those that never ran stay away until something is published, whatever room there is."""
    seed, first = trial("seed", "seed", Trial.RUNNING), trial("first", "cached", Trial.RUNNING)
    scheduler, controller = added(seed, first)
    waits = {"epoch": 0, "training_iteration": 1, "waiting_for_interval": 0}
    assert scheduler.on_trial_result(controller, first, waits) == TrialScheduler.PAUSE
    first.status, late = Trial.PAUSED, trial("late", "cached", Trial.PENDING)
    controller.trials = (*controller.trials, late)
    scheduler.on_trial_add(controller, late)
    scheduler.choose_trial_to_run(controller)
    assert (first.status, late.status) == (Trial.PAUSED, Trial.PAUSED)
    scheduler.on_trial_result(controller, seed, {"history_published": 1})
    scheduler.choose_trial_to_run(controller)
    assert (first.status, late.status) == (Trial.PENDING, Trial.PENDING)
