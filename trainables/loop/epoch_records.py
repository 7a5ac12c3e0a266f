"""What a trial records epoch by epoch beside its metrics: Parquet files in its results folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.fs
import pyarrow.parquet as pq

from tune_select.storage import Folder

EPOCH = "epoch"


class EpochRecords:
    """Rows with an ``epoch`` column in one file; an epoch written again replaces what followed it.

    A trial restored from a checkpoint repeats epochs, and a reader must find each of them once.

    The file is rewritten whole each time. Nothing can be appended to it safely: Parquet keeps its
    table of contents at the end, so a file that was cut off while it grew cannot be read at all;
    objects in a cloud's storage can only be replaced; and repeated epochs must go. A file for each
    report would be safe, but a thousand small files a trial cost a reader on such storage more than
    the rewriting costs the trial, which happens once a report, not once an epoch.

    Args:
        filesystem: The filesystem of the folder, local or in the cloud.
        folder: The trial's folder in the results.
        name: The name of the file.
    """

    def __init__(self, filesystem: pyarrow.fs.FileSystem, folder: str, name: str) -> None:
        self._folder = Folder(folder, filesystem, folder.rstrip("/"))
        self._name = name
        self._rows: pa.Table | None = None

    def append(self, rows: pa.Table) -> None:
        """Add the rows of an epoch. The file is replaced in one step, so readers see whole ones."""
        first = pyarrow.compute.min(rows[EPOCH])
        if self._rows is None:
            self._rows = self._existing()
        if self._rows is not None:
            earlier = self._rows.filter(pyarrow.compute.less(self._rows[EPOCH], first))
            rows = pa.concat_tables([earlier, rows], promote_options="default").combine_chunks()
        self._rows = rows
        content = pa.BufferOutputStream()
        pq.write_table(rows, content)
        self._folder.write(self._name, content.getvalue().to_pybytes())

    def _existing(self) -> pa.Table | None:
        try:
            with pq.ParquetFile(pa.BufferReader(self._folder.read(self._name))) as file:
                return file.read(use_threads=False)  # as a history is read, for the same reason
        except FileNotFoundError:
            return None


class TrialRecords:
    """The record files of a trial: rows are gathered epoch by epoch, and written when told to.

    Args:
        folder: Where they are kept: a filesystem and a path; asked for once there is something.
    """

    def __init__(self, folder: Callable[[], tuple[pyarrow.fs.FileSystem, str]]) -> None:
        self._folder = folder
        self._files: dict[str, EpochRecords] = {}
        self._unwritten: dict[str, list[pa.Table]] = {}

    def add(self, name: str, rows: pa.Table) -> None:
        """Gather rows for a file; see ``EpochRecords.append``."""
        self._unwritten.setdefault(name, []).append(rows)

    def write(self) -> None:
        """Write what was gathered: each file once, since it is written as a whole."""
        for name, rows in self._unwritten.items():
            if name not in self._files:
                self._files[name] = EpochRecords(*self._folder(), name)
            self._files[name].append(pa.concat_tables(rows, promote_options="default"))
        self._unwritten.clear()


def trace_rows(epoch: int, trace: Mapping[str, Sequence[float]]) -> pa.Table:
    """An epoch's trace with the columns ``epoch``, ``iteration`` (from 0) and the names."""
    length = len(next(iter(trace.values())))
    counts = {"epoch": np.full(length, epoch, np.int32), "iteration": np.arange(length)}
    return pa.table({**counts, **{n: np.asarray(v, np.float32) for n, v in trace.items()}})
