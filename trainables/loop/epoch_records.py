"""What a trial records epoch by epoch beside its metrics: Parquet files in its results folder."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.fs
import pyarrow.parquet as pq

from tune_select.storage import Folder

EPOCH = "epoch"


_MOST_SHARE = 0.02  # of the seconds between two writes, for the writes themselves


class EpochRecords:
    """Rows with an ``epoch`` column in one file; an epoch written again replaces what followed it.

    A trial restored from a checkpoint repeats epochs, and a reader must find each of them once.
    Parquet files do not grow, so each write is of all rows so far: epochs are kept back until the
    last write's seconds are a fiftieth of those since, or until ``flush``. It is called with each
    checkpoint, so what a crash loses are epochs that the restored trial repeats.

    Args:
        filesystem: Of the folder, local or in the cloud.
        folder: The trial's folder in the results.
        name: Of the file.
    """

    def __init__(self, filesystem: pyarrow.fs.FileSystem, folder: str, name: str) -> None:
        self._folder = Folder(folder, filesystem, folder.rstrip("/"))
        self._name = name
        self._rows: pa.Table | None = None
        self._kept_back: list[pa.Table] = []
        self._written_at = -math.inf
        self._write_s = 0.0

    def append(self, rows: pa.Table) -> None:
        """Add the rows of an epoch. The file is replaced in one step, so readers see whole ones."""
        self._kept_back.append(rows)
        if self._write_s <= _MOST_SHARE * (time.monotonic() - self._written_at):
            self.flush()

    def flush(self) -> None:
        """Write what is kept back."""
        if not self._kept_back:
            return
        began = time.monotonic()
        whole = self._existing() if self._rows is None else self._rows
        for rows in self._kept_back:
            if whole is not None:
                first = pyarrow.compute.min(rows[EPOCH])
                earlier = whole.filter(pyarrow.compute.less(whole[EPOCH], first))
                rows = pa.concat_tables([earlier, rows], promote_options="default")
            whole = rows
        assert whole is not None
        self._rows, self._kept_back = whole.combine_chunks(), []
        content = pa.BufferOutputStream()
        pq.write_table(self._rows, content)
        self._folder.write(self._name, content.getvalue().to_pybytes())
        self._written_at = time.monotonic()
        self._write_s = self._written_at - began

    def _existing(self) -> pa.Table | None:
        try:
            return pq.read_table(pa.BufferReader(self._folder.read(self._name)))
        except FileNotFoundError:
            return None


def trace_rows(epoch: int, trace: Mapping[str, Sequence[float]]) -> pa.Table:
    """An epoch's trace with the columns ``epoch``, ``iteration`` (from 0) and the names."""
    length = len(next(iter(trace.values())))
    counts = {"epoch": np.full(length, epoch, np.int32), "iteration": np.arange(length)}
    return pa.table({**counts, **{n: np.asarray(v, np.float32) for n, v in trace.items()}})
