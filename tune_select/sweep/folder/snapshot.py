"""Tune's state of an experiment, kept once more as one file that is whole or not there at all.

Tune writes four or five files from a thread of its own, one after the other and in place. A full
disk or a kill leaves half a file, or files of different moments; what it cannot read makes Tune
start the experiment anew in the same folder, without an error. So after each of Tune's snapshots
its files are put together into ``tune.snapshot``, with their SHA-256 and written atomically. A
resume takes the state from there, whatever happened to the files beside it.

The name ends in neither ``.json`` nor ``.pkl``: Tune copies every such file back and forth between
the results folder and its own, and would bring back an old one.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyarrow import fs as pafs
from ray.tune import Callback
from ray.tune.experiment import Trial

from tune_select.storage import Folder
from tune_select.sweep.config import SweepError
from tune_select.sweep.folder.brought_up import bring_up
from tune_select.sweep.interruption import stop_requested
from tune_select.wording import said_of

SNAPSHOT = "tune.snapshot"
_STATE = re.compile(r"(?P<kind>.+?)-\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.(?:json|pkl)")
_EXPERIMENT = "experiment_state"
_SHARE = 0.05  # of the driver's time that may go into copies; on a local disk they take far less

_log = logging.getLogger(__name__)


class SnapshotDamagedError(ValueError):
    """A snapshot is there but not what was written."""


class KeepSnapshots(Callback):
    """Copies Tune's state after each time that Tune has saved it, and all of its files at the end.

    Args:
        location: The experiment's folder, a path or URI.
        restoring: Whether this run goes on from a snapshot. If Tune then could not read it, which
            it does not say, the run is ended before a trial starts.
    """

    def __init__(self, location: str, *, restoring: bool) -> None:
        self._location = location
        self._awaits_restore = restoring
        self._seen: tuple[str, int] | None = None
        self._refused = False  # said once, and again only after it went well in between
        self._not_before_s = 0.0

    def get_state(self) -> dict[str, Any]:
        """Something, so that Tune hands it back on a restore."""
        return {"kept": True}

    def set_state(self, state: dict[str, Any]) -> None:
        """Tune has read everything: this comes last."""
        self._awaits_restore = False

    def setup(self, *args: Any, **info: Any) -> None:
        """Make sure that a restore was one.

        Raises:
            SweepError: Tune started the experiment anew.
        """
        if self._awaits_restore:
            raise SweepError(
                f"Ray Tune cannot read its own state of {self._location} (its log says why). What "
                "was trained is kept; resume with the versions of Ray and Python that began it"
            )

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Copy, if Tune has saved since the last time."""
        if trials and time.monotonic() >= self._not_before_s:
            self._copy(Path(trials[0].local_experiment_path))

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Copy what Tune saved last, which it may have failed to copy itself.

        Raises:
            OSError: The storage does not take it.
        """
        if trials:
            staging = Path(trials[0].local_experiment_path)
            bring_up(staging, self._location, until=stop_requested)
            self._copy(staging)

    def _copy(self, staging: Path) -> None:
        newest = _newest(path.name for path in staging.iterdir())
        if _EXPERIMENT not in newest:
            return
        mark = (newest[_EXPERIMENT], (staging / newest[_EXPERIMENT]).stat().st_mtime_ns)
        if mark == self._seen:
            return
        started_s = time.monotonic()
        content = pack({name: (staging / name).read_bytes() for name in newest.values()})
        try:
            Folder.at(self._location).write(SNAPSHOT, content)
        except OSError as error:  # a full disk, storage that is away: the last one stays
            if not self._refused:
                _log.warning("cannot keep a copy of Tune's state: %s", said_of(error))
            self._refused = True
        else:
            self._seen, self._refused = mark, False
        taken_s = time.monotonic() - started_s
        self._not_before_s = started_s + taken_s / _SHARE


def pack(files: Mapping[str, bytes]) -> bytes:
    """Files as one: a line with the SHA-256 of the rest, which is a ZIP."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    whole = buffer.getvalue()
    return hashlib.sha256(whole).hexdigest().encode() + b"\n" + whole


def unpack(content: bytes) -> dict[str, bytes]:
    """What ``pack`` put together.

    Raises:
        SnapshotDamagedError: A byte is not what it was.
    """
    expected, _, whole = content.partition(b"\n")
    if hashlib.sha256(whole).hexdigest().encode() != expected:
        raise SnapshotDamagedError("it does not have the SHA-256 that was written")
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def restore_state(location: str) -> bool:
    """Put an experiment's state back as it was saved last, whatever lies in its folder now.

    Args:
        location: The experiment's folder, a path or URI.

    Returns:
        Whether there is anything to go on from: False where no trial was ever begun.

    Raises:
        SweepError: There was a state, and neither ours nor Tune's can be read.
    """
    folder = Folder.at(location)
    names = _names(folder)
    if SNAPSHOT not in names:  # begun by an older version, or killed before the first save
        return _tunes_own(folder, names)
    try:
        files = unpack(folder.read(SNAPSHOT))
    except SnapshotDamagedError as error:
        _log.warning("%s/%s is damaged (%s); Tune's own files are used", location, SNAPSHOT, error)
        return _tunes_own(folder, names)
    for name, content in files.items():
        folder.write(name, content)
    for name in names:  # newer ones would be preferred, and may be halves
        if _STATE.fullmatch(name) and name not in files:
            folder.filesystem.delete_file(folder.file(name))
    return _has_trials(files[_newest(files)[_EXPERIMENT]])


def is_kept(location: str) -> bool:
    """Whether an experiment's folder has a snapshot that can be read."""
    folder = Folder.at(location)
    try:
        unpack(folder.read(SNAPSHOT))
    except (FileNotFoundError, SnapshotDamagedError):
        return False
    return True


def _tunes_own(folder: Folder, names: list[str]) -> bool:
    states = sorted(name for name in names if _kind(name) == _EXPERIMENT)
    if not states:
        begun = [name for name in names if "_" in name and _has_results(folder, name)]
        if begun:
            raise SweepError(_lost(folder, f"there is no {_EXPERIMENT}-*.json"))
        return False
    try:
        return _has_trials(folder.read(states[-1]))
    except ValueError as error:
        raise SweepError(_lost(folder, f"{states[-1]} is not what Tune wrote: {error}")) from None


def _lost(folder: Folder, why: str) -> str:
    return (
        f"{folder.location} cannot be resumed: {why}, and there is no sound {SNAPSHOT}. Nothing "
        "was changed; tune-select report FOLDER still works on what the tables hold. Run the sweep "
        "under another name (-o name=...) with history: FOLDER/history/seed, if that is complete"
    )


def _has_trials(content: bytes) -> bool:
    state = json.loads(content)
    if not isinstance(state, dict) or not isinstance(state.get("trial_data"), list):
        raise ValueError("it lacks trial_data")
    for pair in state["trial_data"]:
        for text in pair:
            json.loads(text)
    return bool(state["trial_data"])


def _has_results(folder: Folder, name: str) -> bool:
    path = folder.file(f"{name}/result.json")
    return bool(folder.filesystem.get_file_info(path).type == pafs.FileType.File)


def _names(folder: Folder) -> list[str]:
    selector = pafs.FileSelector(folder.path, allow_not_found=True)
    return sorted(info.base_name for info in folder.filesystem.get_file_info(selector))


def _kind(name: str) -> str | None:
    match = _STATE.fullmatch(name)
    return match["kind"] if match else None


def _newest(names: Any) -> dict[str, str]:
    """The newest state file of each kind; their names end in the time of their session."""
    found: dict[str, str] = {}
    for name in sorted(names):
        kind = _kind(name)
        if kind is not None and not kind.startswith("tmp-"):
            found[kind] = name
    return found
