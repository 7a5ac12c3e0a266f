"""What the terminal shows while a sweep runs, of trials whose reports are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from tune_select.sweep.outlook import progress
from tune_select.sweep.outlook.progress import ProgressCallback


def trial(arm: str, status: str, *, best: float | None = None, **last: Any) -> Any:
    known = {} if best is None else {"val_accuracy": {"max": best, "min": 0.1, "last": 0.2}}
    config = {"arm": arm, "max_epochs": 10}
    return SimpleNamespace(
        trial_id="t", config=config, status=status, metric_analysis=known, last_result=last
    )


def shown(
    trials: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """A line in a log file, and the table at the end."""
    monkeypatch.setattr(progress, "_PRINT_S", 0.0)
    callback = ProgressCallback("val_accuracy", "max", "search", {"cached": 3, "full": 2}, slots=2)
    callback.setup()
    callback.on_step_end(0, trials)
    callback.on_experiment_end(trials)
    return capsys.readouterr().out


def test_a_resumed_sweep_shows_the_best_of_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = [
        trial("cached", Trial.TERMINATED, best=0.75, epoch=10, time_total_s=4.0),
        trial("cached", Trial.TERMINATED, best=0.875, epoch=10, time_total_s=4.0),
        trial("full", Trial.TERMINATED, best=float("nan"), epoch=10, time_total_s=4.0),
    ]
    said = shown(trials, monkeypatch, capsys)
    assert "0.8750" in said
    assert "0.7500" not in said
    assert "nan" not in said


def test_the_time_left_of_an_arm_that_has_ended_none_is_read_off_its_epochs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two slots: replays of 4 s have ended, and full trainings have 3 and 6 of 10 epochs."""
    ended = [trial("cached", Trial.TERMINATED, epoch=10, time_total_s=4.0) for _ in range(3)]
    running = [
        trial("full", Trial.RUNNING, epoch=3, time_total_s=30.0),
        trial("full", Trial.RUNNING, epoch=6, time_total_s=60.0),
    ]
    said = shown([*ended, *running], monkeypatch, capsys)
    assert "3 of 5 trials done, 2 running, 55 s left" in said  # 70 s and 40 s, side by side


def test_nothing_is_said_of_the_time_left_before_anything_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = shown([trial("full", Trial.RUNNING)], monkeypatch, capsys)
    assert "0 of 5 trials done, 1 running" in said
    assert " left" not in said
