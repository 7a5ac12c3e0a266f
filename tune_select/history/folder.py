"""A history as a folder: ``manifest.json`` and one Parquet file per interval.

The folder is the durable truth. Files are written beside their name and renamed, an interval's file
before the manifest that lists it, so that a reader never meets a part. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tune_select.history.errors import (
    HistoryConflictError,
    HistoryCorruptError,
    HistoryMissingError,
    HistoryUnavailableError,
)
from tune_select.history.identity import HistoryIdentity
from tune_select.history.interval import Interval
from tune_select.history.manifest import (
    MANIFEST,
    MOST_MANIFEST_BYTES,
    Manifest,
    raise_if_ended,
)
from tune_select.history.records import IntervalRecord, SubsetRecord, record_of
from tune_select.storage import Folder, UnfitFileError

_POLL_FIRST_S, _POLL_LONGEST_S = 0.01, 0.5


@dataclass(frozen=True)
class FolderHistory:
    """``HistoryAccess`` to a folder, finished or being written.

    Holds nothing but the location, so that any process can take it up at any time. One seed writes;
    any number of readers may follow, by looking at the manifest again.

    Attributes:
        location: Path or URI of the folder.
    """

    location: str

    def manifest(self) -> Manifest:
        """What the folder holds now.

        Raises:
            HistoryMissingError: No manifest there.
            HistoryCorruptError: It cannot be read as one.
            HistoryUnavailableError: The storage refused.
        """
        folder = Folder.at(self.location)
        try:
            content = _content(folder, MANIFEST, MOST_MANIFEST_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise HistoryMissingError(
                f"no history at {self.location}: {folder.file(MANIFEST)} does not exist"
            ) from error
        return Manifest.from_json(content, folder.file(MANIFEST))

    def begin(self, identity: HistoryIdentity) -> int:
        """See ``HistoryAccess``."""
        try:
            manifest = self.manifest()
        except HistoryMissingError:
            self._write_manifest(Manifest(identity))
            return 0
        differences = manifest.identity.differences(identity)
        if differences:
            raise HistoryConflictError(
                f"{self.location} already holds another seed's history (there != this seed: "
                f"{'; '.join(differences)}): give each seed a folder of its own"
            )
        return len(manifest.intervals)

    def publish(self, interval: Interval) -> bool:
        """See ``HistoryAccess``."""
        manifest = self.manifest()
        published = len(manifest.intervals)
        interval.check(manifest.identity)
        if interval.number < published:
            there = self.read_record(manifest.intervals[interval.number], manifest.identity)
            if there.same_content(interval):
                return False
            raise HistoryConflictError(
                f"interval {interval.number} of {self.location} was published before with other "
                "content: the seed did not resume deterministically (are all its generators in the "
                "checkpoint?), or two seeds write one history"
            )
        if interval.number > published:
            raise HistoryConflictError(
                f"{self.location} holds {published} intervals, so the next is {published}, not "
                f"{interval.number}"
            )
        files = {rung: encode_interval(interval.alone(rung)) for rung in (None, *interval.rungs)}
        digests = {rung: hashlib.sha256(content).hexdigest() for rung, content in files.items()}
        record = record_of(interval, digests)
        extended = replace(manifest, intervals=(*manifest.intervals, record))
        extended.check()
        for rung, subset in record.subsets().items():
            Folder.at(self.location).write(subset.file, files[rung])
        self._write_manifest(extended)
        return True

    def finish(self) -> None:
        """See ``HistoryAccess``."""
        manifest = self.manifest()
        lacking = manifest.identity.interval_count - len(manifest.intervals)
        if lacking:
            raise HistoryConflictError(
                f"{self.location} lacks the last {lacking} of {manifest.identity.interval_count} "
                "intervals and cannot be called complete"
            )
        if not manifest.complete:
            self._write_manifest(replace(manifest, complete=True))

    def identity(self) -> HistoryIdentity | None:
        """See ``HistoryAccess``."""
        try:
            return self.manifest().identity
        except HistoryMissingError:
            return None

    def read(self, number: int, timeout_s: float, fraction: float | None = None) -> Interval | None:
        """See ``HistoryAccess``, arguments as in its ``read``.

        Looks again every 10 ms at first, then ever less often.
        """
        deadline, pause_s = time.monotonic() + timeout_s, _POLL_FIRST_S
        while True:
            try:
                manifest = self.manifest()
            except HistoryMissingError:
                pass
            else:
                rung = manifest.identity.rung_of(fraction)
                if number < len(manifest.intervals):
                    return self.read_subset(manifest.intervals[number], manifest.identity, rung)
                raise_if_ended(manifest, number, self.location)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _POLL_LONGEST_S)

    def read_record(self, record: IntervalRecord, identity: HistoryIdentity) -> Interval:
        """Read and verify one interval with all its rungs.

        Args:
            record: Its row in the manifest.
            identity: The identity of the history.

        Raises:
            HistoryCorruptError: As ``read_subset``.
            HistoryUnavailableError: The storage refused.
        """
        rungs = {
            rung.fraction: self.read_subset(record, identity, rung.fraction)
            for rung in record.rungs
        }
        interval = replace(self.read_subset(record, identity, None), rungs=rungs)
        try:
            interval.check(identity)
        except ValueError as error:
            raise HistoryCorruptError(f"{self.location}: {error}") from error
        return interval

    def read_subset(
        self, record: IntervalRecord, identity: HistoryIdentity, rung: float | None
    ) -> Interval:
        """Read and verify one file of an interval.

        Args:
            record: The interval's row in the manifest.
            identity: The identity of the history.
            rung: Which of its rungs; ``None`` for the seed's own subset.

        Raises:
            HistoryCorruptError: The file is missing, truncated or damaged, or holds what a history
                cannot.
            HistoryUnavailableError: The storage refused.
        """
        folder, subset = Folder.at(self.location), record.subsets()[rung]
        where = folder.file(subset.file)
        try:
            content = _content(folder, subset.file, _most_bytes(subset.rows))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise HistoryCorruptError(f"{where} is listed in the manifest but missing") from error
        found = hashlib.sha256(content).hexdigest()
        if found != subset.sha256:
            raise HistoryCorruptError(
                f"{where} ({len(content)} bytes) is damaged: its SHA-256 is {found}, the manifest "
                f"says {subset.sha256}. Restore it, or run the seed again into an empty folder"
            )
        interval = decode_interval(content, record, rung, where)
        try:
            interval.check_alone(identity, rung)
        except ValueError as error:
            raise HistoryCorruptError(f"{where}: {error}") from error
        return interval

    def _write_manifest(self, manifest: Manifest) -> None:
        Folder.at(self.location).write(MANIFEST, manifest.to_json())


def encode_interval(interval: Interval) -> bytes:
    """An interval as a Parquet file; the same interval gives the same bytes."""
    columns = {"example": pa.array(interval.indices), "weight": pa.array(interval.weights)}
    if interval.batches is not None:
        columns["batch"] = pa.array(interval.batches)
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(columns),
        sink,
        compression="zstd",
        use_dictionary=False,
        write_page_checksum=True,
        store_schema=False,
    )
    return bytes(sink.getvalue())


def decode_interval(
    content: bytes, interval: IntervalRecord, rung: float | None, where: str
) -> Interval:
    """One subset of an interval from a Parquet file's bytes, its pages' checksums verified.

    What the file says of itself is compared with the record before anything is unpacked: a few
    megabytes may claim to hold gigabytes.

    Args:
        content: The file's bytes.
        interval: The interval's row in the manifest, which the file must agree with.
        rung: Which of its rungs; ``None`` for the seed's own subset.
        where: The file's place, for errors.

    Raises:
        HistoryCorruptError: Not such a file, or not the rows and columns of the record.
    """
    record = interval.subsets()[rung]
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            _check_claims(file.metadata, record, where)
            # A thread of Arrow's that lets go of the bytes while the interpreter ends aborts it.
            table = file.read(use_threads=False)
        arrays = {name: table[name].to_numpy() for name in table.column_names}
    except HistoryCorruptError:
        raise
    # A damaged file makes the reader raise nearly anything: OSError, ArrowException, MemoryError,
    # ValueError, OverflowError, UnicodeDecodeError, ...
    except Exception as error:
        raise HistoryCorruptError(f"{where} is not a sound Parquet file: {error}") from error
    found = {name: array.dtype for name, array in arrays.items()}
    wanted = {"example": np.dtype(np.int64), "weight": np.dtype(np.float32)}
    if found not in (wanted, {**wanted, "batch": np.dtype(np.int32)}):
        raise HistoryCorruptError(f"{where} has columns {found}, a history's files have {wanted}")
    if record.batched is not None and record.batched != ("batch" in arrays):
        raise HistoryCorruptError(f"{where} has columns {found}, the manifest says otherwise")
    return Interval(
        number=interval.number,
        start=interval.start,
        end=interval.end,
        indices=arrays["example"],
        weights=arrays["weight"],
        batches=arrays.get("batch"),
        gradient_error=record.gradient_error,
        random_gradient_error=record.random_gradient_error,
        select_s=interval.select_s,
        filled=record.filled,
    )


def _check_claims(metadata: pq.FileMetaData, record: SubsetRecord, where: str) -> None:
    """Refuse a file that claims other rows than the record's, or more bytes than they have."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    rows = {metadata.num_rows, sum(group.num_rows for group in groups)}
    if rows != {record.rows}:
        raise HistoryCorruptError(
            f"{where} has {metadata.num_rows} rows, the manifest says {record.rows}"
        )
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    unpacked = sum(max(column.total_uncompressed_size, 0) for column in columns)
    if len(columns) > 3 * len(groups) or unpacked > _most_bytes(record.rows):
        raise HistoryCorruptError(
            f"{where} claims {len(columns)} column chunks of {unpacked} bytes for {record.rows} "
            "rows, more than a history's file has"
        )


def _most_bytes(rows: int) -> int:
    """Bytes that an interval's file may have, packed or not: 16 a row, doubled, and its frame."""
    return 32 * rows + 2**16


def _content(folder: Folder, name: str, most_bytes: int) -> bytes:
    """A file's bytes.

    Raises:
        FileNotFoundError: It is not there.
        NotADirectoryError: Nor is its folder.
        HistoryCorruptError: It is not a regular file of the folder, or too large.
        HistoryUnavailableError: The storage refused.
    """
    try:
        return folder.read_regular(name, most_bytes)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except UnfitFileError as error:
        raise HistoryCorruptError(f"{error}: restore it, or run the seed again") from error
    except OSError as error:
        raise HistoryUnavailableError(f"{folder.file(name)} cannot be read: {error}") from error
