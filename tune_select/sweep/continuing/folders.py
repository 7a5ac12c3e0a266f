"""The results folders that a sweep goes on from, and those that they went on from themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs
from ray import tune

from tune_select.history import HistoryError
from tune_select.history.folder import FolderHistory
from tune_select.storage import Folder
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.state import SweepState
from tune_select.sweep.yaml_file import parse_sweep


@dataclass(frozen=True)
class FinishedSweep:
    """A results folder whose sweep has finished.

    Attributes:
        location: The location of the folder.
        config: The sweep.
    """

    location: str
    config: SweepConfig

    @classmethod
    def at(cls, location: str) -> FinishedSweep:
        """That of a results folder.

        Raises:
            SweepError: There is none, it has not finished, or it is a ladder.
        """
        folder = ResultsFolder.open(location)
        state = SweepState.read(folder.location)
        if state is None or state.ending is None or not state.ending.is_finished:
            raise SweepError(
                f"continues.folders: the sweep in {folder.location} has not finished; finish it "
                f"first with tune-select run --resume {folder.location}"
            )
        config = parse_sweep(folder.read_sweep())
        if config.tune.ladder is not None:
            raise SweepError(
                f"continues.folders: {folder.location} is a ladder, which cannot be gone on with: "
                "its rungs were filled from all of its configurations at once"
            )
        return cls(folder.location, config)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the folder; empty where there is none.

        Raises:
            SweepError: It is damaged.
        """
        file = f"{name}.parquet"
        try:
            content = Folder.at(self.location).read(file)
        except FileNotFoundError:
            return pd.DataFrame()
        try:
            with pq.ParquetFile(pa.BufferReader(content)) as parquet:
                table = parquet.read(use_threads=False)  # as a history is read
            table.validate(full=True)
            return table.to_pandas()
        # A damaged file makes the reader raise nearly anything: OSError, ArrowException, KeyError.
        except Exception as error:
            raise SweepError(
                f"continues.folders: {file} in {self.location} is damaged ({error}); write it "
                f"again with tune-select run --resume {self.location}"
            ) from error

    def runs(self) -> list[dict[str, Any]]:
        """When its commands ran.

        Raises:
            SweepError: The file that says so is damaged.
        """
        try:
            return list(json.loads(Folder.at(self.location).read("runs.json")))
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, RecursionError) as error:
            raise SweepError(
                f"continues.folders: runs.json in {self.location} is damaged ({error}); delete it, "
                "and the seconds of that sweep's commands are left out"
            ) from error

    def configs(self) -> dict[str, dict[str, Any]]:
        """The search's configurations by trial id, as Tune kept them."""
        found = tune.ExperimentAnalysis(self.location)
        return {str(trial.trial_id): dict(trial.config) for trial in found.trials or ()}

    def histories(self) -> dict[str, str]:
        """The complete histories, name to location."""
        root = Folder.at(f"{self.location}/history")
        selector = pafs.FileSelector(root.path, allow_not_found=True)
        infos = root.filesystem.get_file_info(selector)
        places = {info.base_name: f"{self.location}/history/{info.base_name}" for info in infos}
        return {name: place for name, place in sorted(places.items()) if _is_complete(place)}


def all_finished(folders: Sequence[str]) -> list[FinishedSweep]:
    """The sweeps in some folders, each behind those that it went on from, none twice.

    Raises:
        SweepError: One of them is not there, or has not finished.
    """
    found: dict[str, FinishedSweep] = {}
    for sweep in _with_ancestors(folders):
        found.setdefault(sweep.location, sweep)
    return list(found.values())


def _with_ancestors(folders: Sequence[str]) -> Iterator[FinishedSweep]:
    for location in folders:
        sweep = FinishedSweep.at(location)
        if sweep.config.continues is not None:
            yield from _with_ancestors(sweep.config.continues.folders)
        yield sweep


def _is_complete(place: str) -> bool:
    try:
        return bool(FolderHistory(place).manifest().complete)
    except (HistoryError, ValueError, OSError):
        return False
