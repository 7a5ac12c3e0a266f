"""``manifest.json``: what a history's folder holds.

A manifest may lie: it may be damaged, written by hand or by somebody else. Everything that is read
by it later is bounded here first: names are those of files in the folder, sizes those that the
fraction and the data set allow.
"""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from tune_select.history.errors import HistoryCorruptError, HistoryEndedError
from tune_select.history.identity import DatasetIdentity, HistoryIdentity
from tune_select.history.interval import Interval, check_size

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 64 * 2**20
"""A manifest of a hundred thousand intervals has half of it."""

_MOST_EPOCHS, _MOST_EXAMPLES = 10**7, 2**40
Count = Annotated[int, Field(ge=0, le=_MOST_EXAMPLES)]
Epoch = Annotated[int, Field(ge=0, le=_MOST_EPOCHS)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=4096)]


class IntervalRecord(BaseModel):
    """An interval's row in the manifest.

    Attributes:
        number: Position in the history.
        start: First epoch.
        end: One past the last epoch.
        file: Name of the Parquet file, in the folder itself.
        rows: Examples in it.
        sha256: Of the file's bytes, in hexadecimal.
        gradient_error: Relative gradient error, or ``None``.
        random_gradient_error: The same of a random subset, or ``None``.
        select_s: Seconds that the selection took.
        filled: Examples drawn at random because the solver stopped early.
        batched: Whether its examples come in whole batches; ``None`` in older manifests.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    number: Epoch
    start: Epoch
    end: Epoch
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$")]
    rows: Annotated[int, Field(ge=1, le=_MOST_EXAMPLES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    gradient_error: Amount | None
    random_gradient_error: Amount | None
    select_s: Amount
    filled: Count
    batched: bool | None = None


class _Dataset(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Text
    size: Annotated[int, Field(ge=1, le=_MOST_EXAMPLES)]
    fingerprint: Text


class _Selector(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    algorithm: Text
    settings: dict[str, JsonValue]


class _Content(BaseModel):
    """The file's layout; ``versions`` and what later versions add beside it are not read."""

    model_config = ConfigDict(strict=True)

    format: Literal[1]
    dataset: _Dataset
    fraction: float
    select_every: Epoch
    max_epochs: Epoch
    warm_start_epochs: Epoch
    seed_config: dict[str, JsonValue]
    selector: _Selector
    complete: bool
    intervals: list[IntervalRecord]


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
            "intervals": [record.model_dump() for record in self.intervals],
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
            raw = json.loads(content, parse_constant=_refuse_constant)
            if isinstance(raw, dict) and raw.get("format", 1) != FORMAT_VERSION:
                raise HistoryCorruptError(
                    f"{where} has format {raw['format']!r}, this version of tune-select reads "
                    f"{FORMAT_VERSION}: use the version that wrote it"
                )
            read = _Content.model_validate(raw)
            manifest = cls(_identity(read), tuple(read.intervals), read.complete)
            manifest.check()
        except ValidationError as error:
            raise _not_a_manifest(where, _first_words(error)) from error
        # RecursionError: JSON nested thousands of levels deep.
        except (ValueError, OverflowError, RecursionError) as error:
            raise _not_a_manifest(where, str(error) or type(error).__name__) from error
        return manifest

    def check(self) -> None:
        """Refuse rows that cannot be of this history.

        Raises:
            ValueError: Intervals out of order or too few, files or sizes that cannot be theirs.
        """
        for number, record in enumerate(self.intervals):
            bounds = self.identity.bounds(number)
            if (record.number, record.start, record.end) != (number, *bounds):
                raise ValueError(
                    f"it lists intervals out of order: in place {number} stands interval "
                    f"{record.number} of epochs {(record.start, record.end)}"
                )
            check_size(record.rows, self.identity, f"interval {number}")
            if record.filled > record.rows:
                raise ValueError(
                    f"interval {number} has {record.rows} examples, of which {record.filled} "
                    "cannot be filled in"
                )
        if len({record.file for record in self.intervals}) < len(self.intervals):
            raise ValueError("it lists one file for two intervals")
        if len({r.batched for r in self.intervals if r.batched is not None}) > 1:
            raise ValueError("some of its intervals hold whole batches and some do not")
        count = self.identity.interval_count
        if len(self.intervals) > count or (self.complete and len(self.intervals) < count):
            called = "complete with" if self.complete else "unfinished with"
            raise ValueError(f"it is called {called} {len(self.intervals)} of {count} intervals")


def _identity(read: _Content) -> HistoryIdentity:
    return HistoryIdentity(
        dataset=DatasetIdentity(**read.dataset.model_dump()),
        fraction=read.fraction,
        select_every=read.select_every,
        max_epochs=read.max_epochs,
        algorithm=read.selector.algorithm,
        settings=read.selector.settings,
        seed_config=read.seed_config,
        warm_start_epochs=read.warm_start_epochs,
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _not_a_manifest(where: str, reason: str) -> HistoryCorruptError:
    return HistoryCorruptError(
        f"{where} is not a history's manifest ({reason}); restore the file, or run the seed again "
        "into an empty folder"
    )


def _first_words(error: ValidationError) -> str:
    """The first field that is wrong, and how."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    shown = repr(first["input"])
    return f"{where}: {first['msg']}, got {shown if len(shown) < 80 else shown[:80] + '...'}"


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
        batched=interval.batches is not None,
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
