"""``manifest.json``: what a history's folder holds.

A manifest may lie: it may be damaged, written by hand or by somebody else. Everything that is read
by it later is bounded here first: names are those of files in the folder, sizes those that the
fraction and the data set allow.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from tune_select.history.errors import HistoryCorruptError, HistoryEndedError
from tune_select.history.identity import DatasetIdentity, HistoryIdentity
from tune_select.history.interval import check_size
from tune_select.history.records import Epoch, Examples, IntervalRecord, Text
from tune_select.versions import versions_of

FORMATS = (1, 2)
"""2 where intervals hold several rungs' subsets, which versions that read 1 alone would not see."""
MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 64 * 2**20
"""A manifest of a hundred thousand intervals has half of it."""


class _Dataset(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Text
    size: Examples
    fingerprint: Text


class _Selector(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    algorithm: Text
    settings: dict[str, JsonValue]


class _Content(BaseModel):
    """The file's layout; ``versions`` and what later versions add beside it are not read."""

    model_config = ConfigDict(strict=True)

    format: Literal[1, 2]
    dataset: _Dataset
    fraction: float
    select_every: Epoch
    max_epochs: Epoch
    warm_start_epochs: Epoch
    rungs: list[float] = []
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
        several = bool(identity["rungs"])
        if not several:
            del identity["rungs"]
        content = {
            "format": 2 if several else 1,
            **identity,
            "selector": selector,
            "versions": _versions(),
            "complete": self.complete,
            "intervals": [record.row() for record in self.intervals],
        }
        return json.dumps(content, indent=1, allow_nan=False).encode()

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Manifest:
        """Parse and check.

        Args:
            content: The file's bytes.
            where: Its place, for errors.

        Raises:
            HistoryCorruptError: Not JSON, a field is missing or wrong, or a format of the future.
        """
        try:
            raw = json.loads(content, parse_constant=_refuse_constant)
            if isinstance(raw, dict) and raw.get("format", 1) not in FORMATS:
                raise HistoryCorruptError(
                    f"{where} has format {raw['format']!r}, this version of tune-select reads "
                    f"{FORMATS[0]} and {FORMATS[1]}: use the version that wrote it"
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
            self._check_subsets(number, record)
        subsets = [s for record in self.intervals for s in record.subsets().values()]
        if len({subset.file for subset in subsets}) < len(subsets):
            raise ValueError("it lists one file for two intervals or rungs")
        if len({s.batched for s in subsets if s.batched is not None}) > 1:
            raise ValueError("some of its intervals hold whole batches and some do not")
        count = self.identity.interval_count
        if len(self.intervals) > count or (self.complete and len(self.intervals) < count):
            called = "complete with" if self.complete else "unfinished with"
            raise ValueError(f"it is called {called} {len(self.intervals)} of {count} intervals")

    def _check_subsets(self, number: int, record: IntervalRecord) -> None:
        rungs = tuple(rung.fraction for rung in record.rungs)
        if rungs != self.identity.rungs:
            raise ValueError(
                f"interval {number} has subsets at the rungs {list(rungs)}, the history at "
                f"{list(self.identity.rungs)}"
            )
        for rung, subset in record.subsets().items():
            fraction = self.identity.fraction if rung is None else rung
            where = f"interval {number}" + ("" if rung is None else f" at fraction {rung:g}")
            check_size(subset.rows, self.identity.dataset.size, fraction, where)
            if subset.filled > subset.rows:
                raise ValueError(
                    f"{where} has {subset.rows} examples, of which {subset.filled} cannot be "
                    "filled in"
                )


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
        rungs=tuple(read.rungs),
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


def raise_if_ended(manifest: Manifest, number: int, location: str) -> None:
    """Raise HistoryEndedError when a complete history has no interval ``number``.

    Args:
        manifest: The manifest of the history.
        number: The number of the interval that is asked for, from 0.
        location: The history's folder, for the error.
    """
    if manifest.complete and number >= len(manifest.intervals):
        raise HistoryEndedError(
            f"{location} is complete with {len(manifest.intervals)} intervals and will never have "
            f"interval {number}"
        )


def _versions() -> dict[str, Any]:
    names = ("tune-select", "torch", "numpy", "pyarrow", "ray")
    absent = dict.fromkeys(names, "not installed")
    return {"python": platform.python_version(), **absent, **versions_of(names)}
