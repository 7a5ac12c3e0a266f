"""Rows of ``manifest.json``: what it says of an interval's files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tune_select.history.interval import Interval

_MOST_EPOCHS, _MOST_EXAMPLES = 10**7, 2**40
Examples = Annotated[int, Field(ge=1, le=_MOST_EXAMPLES)]
Count = Annotated[int, Field(ge=0, le=_MOST_EXAMPLES)]
Epoch = Annotated[int, Field(ge=0, le=_MOST_EPOCHS)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=4096)]


class SubsetRecord(BaseModel):
    """What the manifest says of one file.

    Attributes:
        file: Name of the Parquet file, in the folder itself.
        rows: Examples in it.
        sha256: The SHA-256 of the file's bytes, in hexadecimal.
        gradient_error: Relative gradient error, or ``None``.
        random_gradient_error: The same of a random subset, or ``None``.
        filled: Examples drawn at random because the solver stopped early.
        batched: Whether its examples come in whole batches; ``None`` in older manifests.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$")]
    rows: Examples
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    gradient_error: Amount | None
    random_gradient_error: Amount | None
    filled: Count
    batched: bool | None = None


class RungRecord(SubsetRecord):
    """A further subset of an interval.

    Attributes:
        fraction: The fraction of the training set that it holds.
    """

    fraction: Annotated[float, Field(gt=0, le=1)]


class IntervalRecord(SubsetRecord):
    """An interval's row in the manifest: its epochs, the seed's own subset, and the rungs'.

    Attributes:
        number: Position in the history.
        start: First epoch.
        end: One past the last epoch.
        select_s: Seconds that the selection took, of all its subsets together.
        rungs: Ascending by fraction.
    """

    number: Epoch
    start: Epoch
    end: Epoch
    select_s: Amount
    rungs: list[RungRecord] = []

    def subsets(self) -> dict[float | None, SubsetRecord]:
        """All its files by rung; ``None`` for the seed's own."""
        return {None: self, **{rung.fraction: rung for rung in self.rungs}}

    def row(self) -> dict[str, Any]:
        """What stands in the file: what a person looks for first comes first."""
        row = self.model_dump()
        head = {key: row[key] for key in ("number", "start", "end")}
        return {**head, **{key: value for key, value in row.items() if key != "rungs" or value}}


def record_of(interval: Interval, digests: Mapping[float | None, str]) -> IntervalRecord:
    """An interval's row.

    Args:
        interval: The interval with all its rungs.
        digests: SHA-256 of each subset's file, by rung; ``None`` for the seed's own.
    """
    rungs = [
        RungRecord(fraction=rung, **_of_file(interval.rungs[rung], rung, digests[rung]))
        for rung in sorted(interval.rungs)
    ]
    return IntervalRecord(
        number=interval.number,
        start=interval.start,
        end=interval.end,
        select_s=float(interval.select_s),
        rungs=rungs,
        **_of_file(interval, None, digests[None]),
    )


def _of_file(subset: Interval, rung: float | None, sha256: str) -> dict[str, Any]:
    def finite(value: float | None) -> float | None:
        return float(value) if value is not None and math.isfinite(value) else None

    at = "" if rung is None else f"-{rung!r}"
    return {
        "file": f"interval-{subset.number:06d}{at}.parquet",
        "rows": len(subset),
        "sha256": sha256,
        "gradient_error": finite(subset.gradient_error),
        "random_gradient_error": finite(subset.random_gradient_error),
        "filled": int(subset.filled),
        "batched": subset.batches is not None,
    }
