"""What trials report: Tune's ``result.json``, which a trial that starts again continues."""

from __future__ import annotations

from pathlib import Path

from ray.tune.experiment import Trial
from ray.tune.logger import JsonLoggerCallback


class ResultLog(JsonLoggerCallback):
    """Tune's JSON log without its one way to lose epochs.

    Tune logs beside the driver and copies to the storage from time to time. Whenever a trial starts
    again (after a crash, or because it had stepped aside), it first copies the log back, although
    the driver's own is then the newer one: what was reported since the last copy is lost, and all
    of it where the storage failed. Here the copy is taken only by a driver that has none, which is
    a resumed sweep's.

    Tune leaves out its own JSON log where a subclass is among the callbacks.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def _restore_from_remote(self, file_name: str, trial: Trial) -> None:
        if not Path(str(trial.local_path), file_name).exists():
            super()._restore_from_remote(file_name, trial)
