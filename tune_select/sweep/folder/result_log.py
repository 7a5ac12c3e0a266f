"""What trials report and when: Tune's ``result.json``, continued by a trial that starts again."""

from __future__ import annotations

import functools
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from ray.tune import Callback, ExperimentAnalysis
from ray.tune.experiment import Trial
from ray.tune.logger import JsonLoggerCallback
from ray.tune.utils.util import SafeFallbackEncoder  # type: ignore[attr-defined]

from tune_select.reporting import EARLIER, each_report
from tune_select.sweep.folder.slot_times import REPORTED, STARTED

_NAME = "result.json"
_log = logging.getLogger(__name__)


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
        """Log a report with its times, each of its epochs by itself."""
        if trial not in self._trial_files:
            self.log_trial_start(trial)
        now = time.time()
        times = {STARTED: self._started.get(trial.trial_id, now), REPORTED: now}
        # Tune writes with json.dump, which never uses the encoder in C: ten times the time.
        lines = [
            json.dumps({**report, **times}, cls=SafeFallbackEncoder) + "\n"
            for report in each_report(result)
        ]
        file = self._trial_files[trial]
        file.write("".join(lines))
        file.flush()

    def _restore_from_remote(self, file_name: str, trial: Trial) -> None:
        local = Path(str(trial.local_path), file_name)
        if not local.exists():
            super()._restore_from_remote(file_name, trial)
            _end_with_a_whole_line(local)


class ForgetEarlier(Callback):
    """Leaves of a report of several epochs the last one, once all other callbacks have seen it.

    Tune keeps each trial's last report in memory and in its state of the experiment.
    """

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Take the earlier epochs out of the report itself."""
        result.pop(EARLIER, None)


def reports_of(found: ExperimentAnalysis) -> dict[str, pd.DataFrame]:
    """What the trials of an experiment have reported, a row per report, by trial id.

    A line that a kill or a full disk has cut off is left out and said; Tune leaves out the whole
    trial then. Where that, or a trial's folder that was deleted, has cost a trial that has ended
    its last report, it is taken from Tune's state of the experiment.
    """
    frames = dict(found.trial_dataframes)
    for trial in found.trials:
        if not len(frames[trial.trial_id]):
            rows = list(_whole_lines(trial))
            rows += _last_if_lacking(trial, rows)
            frames[trial.trial_id] = pd.json_normalize(rows, sep="/") if rows else pd.DataFrame()
    return frames


def _last_if_lacking(trial: Trial, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last report of a trial that has ended, if its log does not hold it."""
    ended = trial.status in (Trial.TERMINATED, Trial.ERROR)
    last = dict(trial.last_result or {}) if ended else {}
    reached = rows[-1].get("epoch", 0) if rows else 0
    if last.get("epoch", 0) <= reached:
        return []
    _say_lacking(trial.trial_id, reached, last["epoch"])
    return [last]


@functools.cache  # logs are read several times for one report
def _say_lacking(trial_id: str, reached: int, epoch: int) -> None:
    _log.warning(
        "trial %s: its log ends at epoch %s; its last report, of epoch %s, is taken from Tune's "
        "state of the sweep",
        trial_id,
        reached,
        epoch,
    )


def _whole_lines(trial: Trial) -> Iterator[dict[str, Any]]:
    storage = trial.storage
    assert storage is not None  # Tune gives one to every trial that it reads back
    if storage.trial_dir_name is None:  # it was drawn, and the sweep ended before it started
        return
    path = f"{storage.trial_fs_path}/{_NAME}"
    try:
        with storage.storage_filesystem.open_input_stream(path) as stream:
            lines = stream.readall().splitlines()
    except FileNotFoundError:
        return
    broken = 0
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            yield row
        else:
            broken += 1
    if broken:
        _log.warning(
            "%s: %d of %d reports cannot be read and are left out", path, broken, len(lines)
        )


def _end_with_a_whole_line(path: Path) -> None:
    """Cut off half a line, or the next report would be written behind it and be lost as well."""
    if path.exists():
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)  # which a full disk allows as well
