"""A whole subset history in memory: what a seed trial selected, for other trials to replay."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tune_select.history.errors import HistoryCorruptError, HistoryEndedError
from tune_select.history.folder import FolderHistory
from tune_select.history.identity import Align, DatasetIdentity, HistoryIdentity
from tune_select.history.interval import Interval


@dataclass(frozen=True)
class SubsetHistory:
    """A whole history in memory: finished, or as far as its seed has come.

    Attributes:
        identity: What it is of.
        intervals: The intervals in order, from interval 0.
        complete: Whether the seed finished it.
    """

    identity: HistoryIdentity
    intervals: Sequence[Interval]
    complete: bool

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SubsetHistory:
        """Read and verify a history's folder.

        Raises:
            HistoryMissingError: There is none at ``path``.
            HistoryCorruptError: A file is damaged, truncated or missing.
        """
        folder = FolderHistory(os.fspath(path))
        manifest = folder.manifest()
        intervals = [folder.read_record(record, manifest.identity) for record in manifest.intervals]
        if len({interval.batches is None for interval in intervals}) > 1:
            raise HistoryCorruptError(
                f"{folder.location}: some of its intervals hold whole batches and some do not; run "
                "the seed again into an empty folder"
            )
        return cls(manifest.identity, intervals, manifest.complete)

    def rung(self, fraction: float) -> SubsetHistory:
        """The history of one fraction's subsets alone.

        Raises:
            HistoryMismatchError: It holds none at that fraction.
        """
        rung = self.identity.rung_of(fraction)
        identity = replace(self.identity, fraction=fraction, rungs=())
        return SubsetHistory(identity, [i.alone(rung) for i in self.intervals], self.complete)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as a folder; again, into the same folder, is harmless.

        Raises:
            HistoryConflictError: ``path`` holds another history.
            OSError: The storage refused.
        """
        folder = FolderHistory(os.fspath(path))
        folder.begin(self.identity)
        for interval in self.intervals:
            folder.publish(interval)
        if self.complete:
            folder.finish()

    def at(
        self, epoch: int, *, align: Align = "epoch", max_epochs: int | None = None
    ) -> Interval | None:
        """Interval to train on in ``epoch``; ``None`` in the warm start, where all data is used.

        Args and errors as ``HistoryIdentity.interval_at``; an interval that an unfinished history
        has not reached raises HistoryEndedError as well.
        """
        number = self.identity.interval_at(epoch, align=align, max_epochs=max_epochs)
        if number is None:
            return None
        if number >= len(self.intervals):
            raise HistoryEndedError(
                f"the history was left unfinished after interval {len(self.intervals) - 1} and has "
                f"nothing for epoch {epoch}: let its seed finish"
            )
        return self.intervals[number]

    def check_fits(self, dataset: DatasetIdentity, **numbers: Any) -> None:
        """See ``HistoryIdentity.check_fits``."""
        self.identity.check_fits(dataset, **numbers)

    def to_frame(self) -> Any:
        """A ``pandas.DataFrame``, a row per interval and example of the seed's own subsets.

        Columns: ``interval``, ``start``, ``end``, ``example`` (int64), ``weight`` (float32) and
        ``batch`` (int32, -1 where the selector has no batches).
        """
        import pandas as pd

        sizes = [len(interval) for interval in self.intervals]

        def column(name: str) -> npt.NDArray[np.int64]:
            values = [getattr(interval, name) for interval in self.intervals]
            return np.repeat(np.array(values, dtype=np.int64), sizes)

        def joined(arrays: list[npt.NDArray[Any]], dtype: type[Any]) -> npt.NDArray[Any]:
            return np.concatenate(arrays) if arrays else np.empty(0, dtype)

        no_batch = [
            np.full(len(i), -1, np.int32) if i.batches is None else i.batches
            for i in self.intervals
        ]
        return pd.DataFrame(
            {
                "interval": column("number"),
                "start": column("start"),
                "end": column("end"),
                "example": joined([i.indices for i in self.intervals], np.int64),
                "weight": joined([i.weights for i in self.intervals], np.float32),
                "batch": joined(no_batch, np.int32),
            }
        )
