"""A run that is asked to stop saves what runs, starts nothing, and then ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.scheduling.winding_down import RunStopped


class Controller:
    """As much of Tune's as winding down asks of it; a pause takes until it is finished here."""

    def __init__(self, *statuses: str) -> None:
        self.trials = [
            SimpleNamespace(trial_id=str(number), status=status)
            for number, status in enumerate(statuses)
        ]
        self.asked: list[str] = []
        self.saved = 0

    def get_trials(self) -> list[Any]:
        return self.trials

    def _set_trial_status(self, trial: Any, status: str) -> None:
        trial.status = status

    def pause_trial(self, trial: Any) -> None:
        self.asked.append(trial.trial_id)

    def finish_pauses(self) -> None:
        for trial in self.trials:
            if trial.trial_id in self.asked:
                trial.status = Trial.PAUSED

    def checkpoint(self, **how: bool) -> None:
        assert how == {"force": True, "wait": True}
        self.saved += 1

    def statuses(self) -> list[str]:
        return [trial.status for trial in self.trials]


def asked() -> bool:
    return True


def test_what_runs_is_saved_and_what_waits_is_not_started() -> None:
    controller = Controller(Trial.RUNNING, Trial.PENDING, Trial.TERMINATED, Trial.ERROR)
    scheduler = SeedReplayScheduler(stop_requested=asked)
    for _ in range(3):  # Tune asks at every step while the epoch is still running
        assert scheduler.choose_trial_to_run(controller) is None
    assert controller.asked == ["0"]
    assert controller.saved == 0
    controller.finish_pauses()
    with pytest.raises(RunStopped):
        scheduler.choose_trial_to_run(controller)
    assert controller.saved == 1
    assert controller.statuses() == [Trial.PAUSED, Trial.PAUSED, Trial.TERMINATED, Trial.ERROR]


def test_an_epoch_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_select.scheduling.winding_down.PATIENCE_S", -1.0)
    controller = Controller(Trial.RUNNING)
    with pytest.raises(RunStopped):
        SeedReplayScheduler(stop_requested=asked).choose_trial_to_run(controller)
    assert controller.saved == 1


class Noting(FIFOScheduler):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []

    def save(self, checkpoint_path: str) -> None:
        self.calls.append(("save", checkpoint_path))

    def restore(self, checkpoint_path: str) -> None:
        self.calls.append(("restore", checkpoint_path))


def test_saving_and_restoring_are_the_bases() -> None:
    base = Noting()
    scheduler = SeedReplayScheduler(base)
    scheduler.save("/a")
    scheduler.restore("/b")
    assert base.calls == [("save", "/a"), ("restore", "/b")]
