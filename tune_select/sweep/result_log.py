"""What trials report and when: Tune's ``result.json``, continued by a trial that starts again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import JsonLoggerCallback

from tune_select.sweep.slot_times import REPORTED, STARTED


class ResultLog(JsonLoggerCallback):
    """Tune's JSON log without its one way to lose epochs.

    Tune logs beside the driver and copies to the storage from time to time. Whenever a trial starts
    again (after a crash, or because it had stepped aside), it first copies the log back, although
    the driver's own is then the newer one: what was reported since the last copy is lost, and all
    of it where the storage failed. Here the copy is taken only by a driver that has none, which is
    a resumed sweep's.

    Beside each report stands when its trial started and when the report came, by the driver's
    clock: how long slots were held, and how long they stood empty, is read off these.

    Tune leaves out its own JSON log where a subclass is among the callbacks.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._started: dict[str, float] = {}

    def log_trial_start(self, trial: Trial) -> None:
        """Note that a trial took a slot."""
        self._started[trial.trial_id] = time.time()
        super().log_trial_start(trial)

    def log_trial_result(self, iteration: int, trial: Trial, result: Mapping[str, Any]) -> None:
        """Log a report with its times."""
        now = time.time()
        times = {STARTED: self._started.get(trial.trial_id, now), REPORTED: now}
        super().log_trial_result(iteration, trial, {**result, **times})

    def _restore_from_remote(self, file_name: str, trial: Trial) -> None:
        if not Path(str(trial.local_path), file_name).exists():
            super()._restore_from_remote(file_name, trial)
