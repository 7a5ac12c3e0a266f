"""``manifest.json``: what a history's folder holds."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tune_select.history.errors import HistoryCorruptError, HistoryEndedError
from tune_select.history.identity import DatasetIdentity, HistoryIdentity
from tune_select.history.interval import Interval

FORMAT_VERSION = 1
MANIFEST = "manifest.json"


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


def record_of(interval: Interval, sha256: str) -> IntervalRecord:
    """An interval's row, with the digest of its file."""

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


def raise_if_ended(manifest: Manifest, number: int, location: str) -> None:
    """Raise HistoryEndedError when a complete history has no interval ``number``.

    Args:
        manifest: Of the history.
        number: Of the interval that is asked for, from 0.
        location: The history's folder, for the error.
    """
    if manifest.complete and number >= len(manifest.intervals):
        raise HistoryEndedError(
            f"{location} is complete with {len(manifest.intervals)} intervals and will never have "
            f"interval {number}"
        )


def _versions() -> dict[str, Any]:
    found = {"python": platform.python_version()}
    for name in ("tune-select", "torch", "numpy", "pyarrow", "ray"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
