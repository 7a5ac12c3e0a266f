"""A history as a folder: ``manifest.json`` and one Parquet file per interval.

The folder is the durable truth. Files are written beside their name and renamed, an interval's file
before the manifest that lists it, so that a reader never meets a part. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tune_select.history import (
    DatasetIdentity,
    HistoryConflictError,
    HistoryCorruptError,
    HistoryEndedError,
    HistoryIdentity,
    HistoryMissingError,
    Interval,
    SubsetHistory,
)
from tune_select.storage import Folder

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_POLL_FIRST_S, _POLL_LONGEST_S = 0.01, 0.5


@dataclass(frozen=True)
class IntervalRecord:
    """An interval's row in the manifest.

    Attributes:
        number: Position in the history.
        start: First epoch.
        end: One past the last epoch.
        file: Name of the Parquet file in the folder.
        rows: Examples in it.
        sha256: Of the file's bytes, in hexadecimal.
        gradient_error: Relative gradient error, or ``None``.
        random_gradient_error: The same of a random subset, or ``None``.
        select_s: Seconds that the selection took.
        filled: Examples drawn at random because the solver stopped early.
    """

    number: int
    start: int
    end: int
    file: str
    rows: int
    sha256: str
    gradient_error: float | None
    random_gradient_error: float | None
    select_s: float
    filled: int


@dataclass(frozen=True)
class Manifest:
    """Content of ``manifest.json``."""

    identity: HistoryIdentity
    intervals: tuple[IntervalRecord, ...] = ()
    complete: bool = False

    def to_json(self) -> bytes:
        """The file's bytes: indented JSON that a person can read."""
        identity = asdict(self.identity)
        selector = {"algorithm": identity.pop("algorithm"), "settings": identity.pop("settings")}
        content = {
            "format": FORMAT_VERSION,
            **identity,
            "selector": selector,
            "versions": _versions(),
            "complete": self.complete,
            "intervals": [asdict(record) for record in self.intervals],
        }
        return json.dumps(content, indent=1, allow_nan=False).encode()

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Manifest:
        """Parse and check.

        Args:
            content: The file's bytes.
            where: Its place, for errors.

        Raises:
            HistoryCorruptError: Not JSON, a field lacks or is wrong, or a format of the future.
        """
        try:
            raw = json.loads(content)
            if raw["format"] != FORMAT_VERSION:
                raise HistoryCorruptError(
                    f"{where} has format {raw['format']!r}, this version of tune-select reads "
                    f"{FORMAT_VERSION}: use the version that wrote it"
                )
            identity = HistoryIdentity(
                dataset=DatasetIdentity(**raw["dataset"]),
                **{
                    name: raw[name]
                    for name in (
                        "fraction",
                        "select_every",
                        "max_epochs",
                        "warm_start_epochs",
                        "seed_config",
                    )
                },
                algorithm=raw["selector"]["algorithm"],
                settings=raw["selector"]["settings"],
            )
            records = tuple(IntervalRecord(**row) for row in raw["intervals"])
            complete = bool(raw["complete"])
        except (ValueError, KeyError, TypeError) as error:
            raise HistoryCorruptError(
                f"{where} is not a history's manifest ({type(error).__name__}: {error}); restore "
                "the file, or run the seed again into an empty folder"
            ) from error
        bounds = [(record.number, (record.start, record.end)) for record in records]
        if bounds != [(number, identity.bounds(number)) for number in range(len(records))]:
            raise HistoryCorruptError(f"{where} lists intervals out of order: {bounds}")
        if complete and len(records) != identity.interval_count:
            raise HistoryCorruptError(
                f"{where} is called complete with {len(records)} of {identity.interval_count} "
                "intervals"
            )
        return cls(identity, records, complete)


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
        """
        folder = Folder.at(self.location)
        try:
            content = folder.read(MANIFEST)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise HistoryMissingError(
                f"no history at {self.location}: {folder.file(MANIFEST)} does not exist"
            ) from error
        return Manifest.from_json(content, folder.file(MANIFEST))

    def load(self) -> SubsetHistory:
        """Everything the folder holds, verified; errors as ``manifest`` and ``read_record``."""
        manifest = self.manifest()
        intervals = [self.read_record(record, manifest.identity) for record in manifest.intervals]
        return SubsetHistory(manifest.identity, intervals, manifest.complete)

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
        content = encode_interval(interval)
        record = _record_of(interval, hashlib.sha256(content).hexdigest())
        Folder.at(self.location).write(record.file, content)
        self._write_manifest(replace(manifest, intervals=(*manifest.intervals, record)))
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

    def read(self, number: int, timeout_s: float) -> Interval | None:
        """See ``HistoryAccess``. Looks again every 10 ms at first, then ever less often."""
        deadline, pause_s = time.monotonic() + timeout_s, _POLL_FIRST_S
        while True:
            try:
                manifest = self.manifest()
            except HistoryMissingError:
                pass
            else:
                if number < len(manifest.intervals):
                    return self.read_record(manifest.intervals[number], manifest.identity)
                raise_if_ended(manifest, number, self.location)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _POLL_LONGEST_S)

    def read_record(self, record: IntervalRecord, identity: HistoryIdentity) -> Interval:
        """Read one interval's file and verify its digest, its pages and its values.

        Raises:
            HistoryCorruptError: The file is missing, truncated or damaged.
        """
        folder = Folder.at(self.location)
        where = folder.file(record.file)
        try:
            content = folder.read(record.file)
        except FileNotFoundError as error:
            raise HistoryCorruptError(f"{where} is listed in the manifest but missing") from error
        found = hashlib.sha256(content).hexdigest()
        if found != record.sha256:
            raise HistoryCorruptError(
                f"{where} ({len(content)} bytes) is damaged: its SHA-256 is {found}, the manifest "
                f"says {record.sha256}. Restore it, or run the seed again into an empty folder"
            )
        interval = decode_interval(content, record, where)
        try:
            interval.check(identity)
        except ValueError as error:
            raise HistoryCorruptError(f"{where}: {error}") from error
        return interval

    def _write_manifest(self, manifest: Manifest) -> None:
        Folder.at(self.location).write(MANIFEST, manifest.to_json())


def raise_if_ended(manifest: Manifest, number: int, location: str) -> None:
    """Raise HistoryEndedError when a complete history has no interval ``number``."""
    if manifest.complete and number >= len(manifest.intervals):
        raise HistoryEndedError(
            f"{location} is complete with {len(manifest.intervals)} intervals and will never have "
            f"interval {number}"
        )


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


def decode_interval(content: bytes, record: IntervalRecord, where: str) -> Interval:
    """An interval from a Parquet file's bytes, its pages' checksums verified.

    Raises:
        HistoryCorruptError: Not such a file, or not the rows and columns of the record.
    """
    try:
        table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
        arrays = {name: table[name].to_numpy() for name in table.column_names}
    except (OSError, pa.ArrowException) as error:
        raise HistoryCorruptError(f"{where} is not a sound Parquet file: {error}") from error
    found = {name: array.dtype for name, array in arrays.items()}
    wanted = {"example": np.dtype(np.int64), "weight": np.dtype(np.float32)}
    if found not in (wanted, {**wanted, "batch": np.dtype(np.int32)}):
        raise HistoryCorruptError(f"{where} has columns {found}, a history's files have {wanted}")
    if table.num_rows != record.rows:
        raise HistoryCorruptError(
            f"{where} has {table.num_rows} rows, the manifest says {record.rows}"
        )
    return Interval(
        number=record.number,
        start=record.start,
        end=record.end,
        indices=arrays["example"],
        weights=arrays["weight"],
        batches=arrays.get("batch"),
        gradient_error=record.gradient_error,
        random_gradient_error=record.random_gradient_error,
        select_s=record.select_s,
        filled=record.filled,
    )


def _record_of(interval: Interval, sha256: str) -> IntervalRecord:
    def finite(value: float | None) -> float | None:
        return float(value) if value is not None and math.isfinite(value) else None

    return IntervalRecord(
        number=interval.number,
        start=interval.start,
        end=interval.end,
        file=f"interval-{interval.number:06d}.parquet",
        rows=len(interval),
        sha256=sha256,
        gradient_error=finite(interval.gradient_error),
        random_gradient_error=finite(interval.random_gradient_error),
        select_s=float(interval.select_s),
        filled=int(interval.filled),
    )


def _versions() -> dict[str, Any]:
    found = {"python": platform.python_version()}
    for name in ("tune-select", "torch", "numpy", "pyarrow", "ray"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
