"""Reading subset histories from a results folder: ``manifest.json`` and one Parquet per interval.

A reader of its own, so that a laptop without Ray and PyTorch can open a results folder.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

_MOST_MANIFEST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class IntervalRecord:
    """The subset of epochs [start, end).

    Attributes:
        start: First epoch, from 0.
        end: One past the last.
        examples: int64 (k,) distinct positions in the training set.
        weights: float64 (k,) non-negative.
        gradient_error: Relative gradient error of the subset, where measured.
        random_gradient_error: The same of a random subset of that size.
        select_s: Seconds that the selection took.
    """

    start: int
    end: int
    examples: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    gradient_error: float | None = None
    random_gradient_error: float | None = None
    select_s: float = 0.0


@dataclass(frozen=True)
class HistoryRecord:
    """One seed's subsets with what identifies them.

    Attributes:
        key: Name of its folder.
        dataset: Name of the training set.
        size: Its number of examples n.
        fingerprint: Digest of its examples and their order: indices of two histories name the same
            examples only where it is the same.
        algorithm: The selector that filled it.
        fraction: Subset size over n.
        warm_start_epochs: Epochs on all the data before the first subset.
        complete: Whether the seed finished it.
        seed_config: The seed trial's configuration.
        intervals: The intervals in order.
    """

    key: str
    dataset: str
    size: int
    fingerprint: str
    algorithm: str
    fraction: float
    warm_start_epochs: int
    complete: bool
    seed_config: Mapping[str, Any]
    intervals: tuple[IntervalRecord, ...]

    @property
    def chosen(self) -> tuple[IntervalRecord, ...]:
        """The intervals that the selector chose: all but an initial subset drawn at random.

        Killamsetty et al.'s Algorithm 1 trains on such a one until the first selection
        (``first_subset: random``). Seed trials of one training seed all draw the same.
        """
        selection = self.seed_config.get("selection")
        at_random = isinstance(selection, Mapping) and selection.get("first_subset") == "random"
        drawn = at_random and not self.warm_start_epochs
        return tuple(own for own in self.intervals if own.start > 0 or not drawn)

    @property
    def label(self) -> str:
        """The seed trial in short, as the rows of Cai et al., Table 5."""
        named = ("optimizer", "model", "learning_rate")
        parts = [str(self.seed_config[key]) for key in named if key in self.seed_config]
        return ", ".join([*parts, self.algorithm]) if parts else f"{self.algorithm} {self.key}"


def load_history(folder: Path | str) -> HistoryRecord:
    """Read one history, each file's digest and page checksums verified.

    Raises:
        ValueError: A file is missing, damaged, or not what the manifest says; names the file.
    """
    folder = Path(folder)
    path = folder / "manifest.json"
    try:
        raw = json.loads(_content(path, _MOST_MANIFEST_BYTES))
        if raw["format"] not in (1, 2):  # 2 holds further rungs' subsets beside the seed's own
            raise ValueError(f"format {raw['format']!r} is not known, only 1 and 2")
        return HistoryRecord(
            key=folder.name,
            dataset=str(raw["dataset"]["name"]),
            size=int(raw["dataset"]["size"]),
            fingerprint=str(raw["dataset"]["fingerprint"]),
            algorithm=str(raw["selector"]["algorithm"]),
            fraction=float(raw["fraction"]),
            warm_start_epochs=int(raw["warm_start_epochs"]),
            complete=bool(raw["complete"]),
            seed_config=dict(raw["seed_config"]),
            intervals=tuple(
                _interval(folder, row, int(raw["dataset"]["size"])) for row in raw["intervals"]
            ),
        )
    # A damaged file makes JSON and Parquet readers raise nearly anything.
    except (OSError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError,
            MemoryError, ValueError, pa.ArrowException) as error:  # fmt: skip
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error


def load_histories(folder: Path) -> tuple[list[HistoryRecord], list[str]]:
    """Every history below ``folder``, and a sentence for each that cannot be read."""
    found, problems = [], []
    for manifest in sorted(folder.glob("*/manifest.json")):
        try:
            found.append(load_history(manifest.parent))
        except ValueError as error:
            problems.append(f"The history {manifest.parent.name} could not be read ({error}).")
    return found, problems


def _interval(folder: Path, row: Mapping[str, Any], size: int) -> IntervalRecord:
    name = str(row["file"])
    if Path(name).name != name:
        raise ValueError(f"interval file {name!r} lies outside the history's folder")
    rows = int(row["rows"])
    if not 0 < rows <= size:
        raise ValueError(f"{name} cannot have {rows} of the training set's {size} examples")
    content = _content(folder / name, _most_bytes(rows))
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise ValueError(f"{name} is damaged: its SHA-256 is not the manifest's")
    with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
        # What it claims is compared before it is unpacked: a small file may hold gigabytes.
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        unpacked = sum(max(group.total_byte_size, 0) for group in groups)
        if file.metadata.num_rows != rows or unpacked > _most_bytes(rows):
            raise ValueError(f"{name} claims {file.metadata.num_rows} rows of {unpacked} bytes")
        table = file.read(use_threads=False)  # none lets go of the bytes as the program ends
    examples = table["example"].to_numpy().astype(np.int64)
    if len(examples) and (examples.min() < 0 or examples.max() >= size):
        raise ValueError(f"{name} names examples outside the training set's {size}")
    return IntervalRecord(
        start=int(row["start"]),
        end=int(row["end"]),
        examples=examples,
        weights=table["weight"].to_numpy().astype(np.float64),
        gradient_error=row.get("gradient_error"),
        random_gradient_error=row.get("random_gradient_error"),
        select_s=float(row.get("select_s") or 0.0),
    )


def _most_bytes(rows: int) -> int:
    """Bytes that an interval's file may have, packed or not: 16 a row, doubled, and its frame."""
    return 32 * rows + 2**16


def _content(path: Path, most_bytes: int) -> bytes:
    """A regular file's bytes; reading a pipe would wait for ever."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
        raise ValueError(f"{path} is not a regular file of at most {most_bytes} bytes")
    return path.read_bytes()
