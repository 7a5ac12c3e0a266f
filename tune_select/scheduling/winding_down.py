"""Ending a run that is asked to stop, so that nothing which was trained has to be trained again."""

from __future__ import annotations

import time
from typing import Any

from ray.tune.experiment import Trial

PATIENCE_S = 30.0  # for the epochs that are running; a trial without a save goes back to its last


class RunStopped(Exception):
    """The run was asked to stop; its state is on disk, and a restore goes on from there."""


class WindingDown:
    """Pauses what runs, which saves it, and starts nothing any more; then ends the run.

    Tune's own way to stop early marks trials as terminated, which a restore then passes over, or
    lets go of them without a checkpoint: a sweep whose budget is shorter than the time between two
    checkpoints would never get anywhere.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._paused: set[str] = set()

    def step(self, controller: Any) -> None:
        """Do what can be done now; called at every step of Tune's until the run ends.

        Raises:
            RunStopped: Everything is saved, or the patience is over.
        """
        now_s = time.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        running = [trial for trial in controller.get_trials() if trial.status == Trial.RUNNING]
        for trial in controller.get_trials():
            if trial.status == Trial.PENDING:
                controller._set_trial_status(trial, Trial.PAUSED)
            elif trial.status == Trial.RUNNING and trial.trial_id not in self._paused:
                controller.pause_trial(trial)
                self._paused.add(trial.trial_id)
        if not running or now_s - self._since_s > PATIENCE_S:
            controller.checkpoint(force=True, wait=True)
            raise RunStopped
