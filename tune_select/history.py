"""The subset history: what a seed trial selected, interval by interval, for others to replay.

Everything here works without Ray. ``tune_select.store`` serves the same histories in flight.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tune_select.history_errors import (
    HistoryConflictError,
    HistoryCorruptError,
    HistoryEndedError,
    HistoryError,
    HistoryMismatchError,
    HistoryMissingError,
    HistoryUnavailableError,
)
from tune_select.history_identity import Align, DatasetIdentity, HistoryIdentity

__all__ = [
    "Align",
    "DatasetIdentity",
    "HistoryAccess",
    "HistoryConflictError",
    "HistoryCorruptError",
    "HistoryEndedError",
    "HistoryError",
    "HistoryIdentity",
    "HistoryMismatchError",
    "HistoryMissingError",
    "HistoryUnavailableError",
    "Interval",
    "SubsetHistory",
    "open_history",
]


@dataclass(frozen=True, eq=False)
class Interval:
    """The subset that epochs [start, end) train on.

    Arrays are taken without a copy where their types fit, and shown read-only.

    Attributes:
        number: Position in the history, from 0.
        start: First epoch.
        end: One past the last epoch.
        indices: int64 (k,), distinct positions in the training set.
        weights: float32 (k,), finite, non-negative, mean 1.
        batches: int32 (k,) batch of each example for per-batch selectors, else ``None``.
        gradient_error: The subset's relative gradient error, where one was measured.
        random_gradient_error: The same of a random subset of that size.
        select_s: Seconds that the selection took.
        filled: How many of the k were drawn at random because the solver stopped early.
    """

    number: int
    start: int
    end: int
    indices: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    batches: npt.NDArray[np.int32] | None = None
    gradient_error: float | None = None
    random_gradient_error: float | None = None
    select_s: float = 0.0
    filled: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", _read_only(self.indices, np.int64))
        object.__setattr__(self, "weights", _read_only(self.weights, np.float32))
        if self.batches is not None:
            object.__setattr__(self, "batches", _read_only(self.batches, np.int32))

    def __len__(self) -> int:
        return int(self.indices.shape[0])

    def same_content(self, other: Interval) -> bool:
        """Whether both name the same epochs, examples, weights and batches, bit for bit.

        What was measured on the way (seconds, errors) may differ: a resumed seed selects again.
        """
        if (self.number, self.start, self.end) != (other.number, other.start, other.end):
            return False
        if (self.batches is None) != (other.batches is None):
            return False
        same = np.array_equal(self.indices, other.indices) and np.array_equal(
            self.weights, other.weights
        )
        if self.batches is None or other.batches is None:
            return same
        return same and np.array_equal(self.batches, other.batches)

    def check(self, identity: HistoryIdentity) -> None:
        """Refuse a subset that cannot belong to the history.

        Raises:
            ValueError: Epochs, shapes, indices or weights are not what ``identity`` and the
                contract of a subset say.
        """
        where = f"interval {self.number}"
        if not 0 <= self.number < identity.interval_count:
            raise ValueError(f"{where} is not one of the history's {identity.interval_count}")
        if (self.start, self.end) != identity.bounds(self.number):
            raise ValueError(
                f"{where} must cover epochs {identity.bounds(self.number)}, got "
                f"{(self.start, self.end)}"
            )
        shapes = {a.shape for a in (self.indices, self.weights, self.batches) if a is not None}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or len(self) == 0:
            raise ValueError(f"{where} needs arrays of one shape (k,) with k > 0, got {shapes}")
        if int(self.indices.min()) < 0 or int(self.indices.max()) >= identity.dataset.size:
            raise ValueError(
                f"{where} names examples {self.indices.min()} to {self.indices.max()}, but the "
                f"training set {identity.dataset.name} has {identity.dataset.size}"
            )
        if np.unique(self.indices).size != len(self):
            raise ValueError(f"{where} names an example twice")
        if not bool(np.isfinite(self.weights).all()) or float(self.weights.min()) < 0:
            raise ValueError(f"{where} has a weight that is negative or not finite")


class HistoryAccess(Protocol):
    """What a trial holds of a history; picklable, and cheap to pickle.

    A folder on disk and the store in flight both are one. A seed calls ``begin``, ``publish`` and
    ``finish``, a replay ``identity`` and ``read``.
    """

    def begin(self, identity: HistoryIdentity) -> int:
        """Open the history for writing, again after a restart; returns the intervals published.

        Raises:
            HistoryConflictError: Another seed's history is already there.
        """

    def publish(self, interval: Interval) -> bool:
        """Add the next interval. True when new, False when the same was published before.

        Raises:
            HistoryConflictError: It was published with other content, or intervals before it lack.
        """

    def finish(self) -> None:
        """Declare the history complete; again is harmless.

        Raises:
            HistoryConflictError: Intervals lack.
        """

    def identity(self) -> HistoryIdentity | None:
        """What the history is of; ``None`` while no seed has begun."""

    def read(self, number: int, timeout_s: float) -> Interval | None:
        """Interval ``number``, waiting at most ``timeout_s``; ``None`` when it is not there yet.

        Raises:
            HistoryEndedError: The history is complete without it.
            HistoryCorruptError: Its file is damaged.
        """


def open_history(location: str | os.PathLike[str] | Mapping[str, Any]) -> HistoryAccess:
    """Access to a history as a trial's configuration names it.

    Args:
        location: A folder (path or URI), or ``{"path": ..., "store": ...}`` where ``store`` names a
            running ``HistoryStore``; ``None`` there means the folder alone.

    Raises:
        ValueError: ``location`` is neither.
    """
    from tune_select.history_folder import FolderHistory

    if not isinstance(location, Mapping):
        return FolderHistory(os.fspath(location))
    if not isinstance(location.get("path"), str) or set(location) - {"path", "store"}:
        raise ValueError(
            f"history must be a path or {{'path': ..., 'store': ...}}, got {dict(location)!r}"
        )
    if location.get("store") is None:
        return FolderHistory(location["path"])
    from tune_select.store import StoredHistory

    return StoredHistory(path=location["path"], store=location["store"])


@dataclass(frozen=True)
class SubsetHistory:
    """A whole history in memory: finished, or as far as its seed has come.

    Attributes:
        identity: What it is of.
        intervals: In order, from interval 0.
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
        from tune_select.history_folder import FolderHistory

        return FolderHistory(os.fspath(path)).load()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as a folder; again, into the same folder, is harmless.

        Raises:
            HistoryConflictError: ``path`` holds another history.
            OSError: The storage refused.
        """
        from tune_select.history_folder import FolderHistory

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
        """A ``pandas.DataFrame``, a row per interval and example.

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


def _read_only(array: Any, dtype: type[Any]) -> npt.NDArray[Any]:
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view
