"""The results folder of a sweep, on any filesystem that Ray's storage path takes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pyarrow import fs as pafs

from tune_select.storage import Folder
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.folder.frames import to_parquet
from tune_select.sweep.folder.state import STATE
from tune_select.sweep.yaml_file import dump_sweep

_SWEEP = "sweep.yaml"
_TABLES = ("trials.parquet", "epochs.parquet")
_SLOTS = "slots.parquet"
_RUNS = "runs.json"


@dataclass(frozen=True)
class ResultsFolder:
    """``<storage_path>/<name>``: what DESIGN calls the results folder.

    Attributes:
        location: Absolute local path, or URI.
    """

    location: str

    @classmethod
    def create(cls, config: SweepConfig) -> ResultsFolder:
        """Write a new sweep's ``sweep.yaml``.

        Raises:
            SweepError: A sweep of that name is there already.
        """
        folder = cls.of(config)
        if folder._has(_SWEEP):
            raise SweepError(
                f"name: {folder.location} holds a sweep already; choose another name (-o name=...),"
                f" delete the folder, or finish it with tune-select run --resume {folder.location}"
            )
        folder.write_sweep(config)
        return folder

    @classmethod
    def open(cls, location: str | Path) -> ResultsFolder:
        """The folder of an earlier sweep.

        Raises:
            SweepError: No sweep began there.
        """
        folder = cls(_absolute(str(location)))
        if not folder.is_begun():
            raise SweepError(f"{folder.location} holds no {_SWEEP}, so no sweep began there")
        return folder

    @classmethod
    def of(cls, config: SweepConfig) -> ResultsFolder:
        """Where a sweep's results go, whether or not they are there yet."""
        return cls(f"{_absolute(config.storage_path)}/{config.name}")

    @property
    def storage_path(self) -> str:
        """What Ray calls the storage path: the parent of the folder."""
        return self.location.rpartition("/")[0]

    @property
    def name(self) -> str:
        """What Ray calls the experiment's name."""
        return self.location.rpartition("/")[2]

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine's own filesystem."""
        return "://" not in self.location

    @property
    def history_root(self) -> str:
        """Where the sweep's histories lie."""
        return f"{self.location}/history"

    def read_sweep(self) -> Any:
        """The resolved sweep as it was written."""
        return yaml.safe_load(self._folder().read(_SWEEP))

    def is_begun(self) -> bool:
        """Whether a sweep began here."""
        return self._has(_SWEEP) or self._has(STATE)

    def has_report(self) -> bool:
        """Whether anything was reported."""
        return self._has("report.html")

    def write_sweep(self, config: SweepConfig) -> None:
        """Write the resolved sweep, secrets masked."""
        self.write(_SWEEP, dump_sweep(config).encode())

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        self._folder().write(name, content)

    def write_tables(self, trials: pd.DataFrame, epochs: pd.DataFrame) -> None:
        """Write ``trials.parquet`` and ``epochs.parquet``."""
        for name, frame in zip(_TABLES, (trials, epochs), strict=True):
            self._write_frame(name, frame)

    def write_slots(self, stays: pd.DataFrame) -> None:
        """Write ``slots.parquet``: a row per time that a trial held a slot."""
        self._write_frame(_SLOTS, stays)

    def add_run(self, started: float, ended: float, slots: int) -> None:
        """Note in ``runs.json`` how long one call of the command took; a resume is another one.

        Args:
            started: Unix seconds at which the sweep, or its resume, began.
            ended: Unix seconds at which its last trial had ended.
            slots: How many trials ran at once at most.
        """
        try:
            runs = json.loads(self._folder().read(_RUNS)) if self._has(_RUNS) else []
        except ValueError:  # damaged: how long earlier commands took is not worth this one's report
            runs = []
        runs = runs if isinstance(runs, list) else []
        runs.append({"started": started, "ended": ended, "slots": slots})
        self.write(_RUNS, json.dumps(runs).encode())

    def _write_frame(self, name: str, frame: pd.DataFrame) -> None:
        self.write(name, to_parquet(frame))

    def with_local_copy(self, work: Callable[[Path], None]) -> None:
        """Let ``work`` read and write the folder as local files.

        A folder on other storage is copied here without Tune's own files, and what ``work`` wrote
        is copied back.
        """
        if self.is_local:
            work(Path(self.location))
            return
        remote = self._folder()
        with tempfile.TemporaryDirectory() as scratch:
            for name in (_SWEEP, STATE, *_TABLES, _SLOTS, _RUNS, "history"):
                _copy(remote.filesystem, remote.file(name), pafs.LocalFileSystem(), scratch, name)
            work(Path(scratch))
            local = pafs.LocalFileSystem()
            pafs.copy_files(
                scratch,
                remote.path,
                source_filesystem=local,
                destination_filesystem=remote.filesystem,
            )

    def _folder(self) -> Folder:
        return Folder.at(self.location)

    def _has(self, name: str) -> bool:
        folder = self._folder()
        kind = folder.filesystem.get_file_info(folder.file(name)).type
        return bool(kind != pafs.FileType.NotFound)


def _absolute(location: str) -> str:
    if "://" in location:
        return location.rstrip("/")
    return str(Path(location).expanduser().resolve())


def _copy(
    source: pafs.FileSystem, path: str, target: pafs.FileSystem, scratch: str, name: str
) -> None:
    if source.get_file_info(path).type == pafs.FileType.NotFound:
        return
    pafs.copy_files(
        path, f"{scratch}/{name}", source_filesystem=source, destination_filesystem=target
    )
