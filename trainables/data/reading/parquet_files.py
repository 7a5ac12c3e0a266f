"""Parquet files: columns that come with a type, and what to make of types that are not numbers."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from trainables.data.reading.columns import Place, Reading, TextColumn, typed_text
from trainables.data.reading.omissions import Omission, omission

_NUMBERS = (int, float, Decimal, np.integer, np.floating)


def read_parquet(
    path: Path, reading: Reading, drop: Collection[str]
) -> tuple[pd.DataFrame, tuple[Omission, ...]]:
    """The columns of a file as numbers, truth values and categories, and what was left out.

    Decimals become floats. Text is judged as that of CSV files is, except that a column which is
    text on purpose may hold some numbers; spaces around it are no part of it.

    Args:
        path: The file.
        reading: Columns that are numbers or categories whatever they look like.
        drop: Columns that are not used, and not looked at either.

    Raises:
        ValueError: Not a sound file, or a column that holds what has no encoding; names the file,
            the column and the remedies.
    """
    try:
        # pandas' own reader opens the file as an object of Python's, which a thread of Arrow's may
        # let go of while the interpreter ends, and abort it.
        frame = pq.read_table(path).to_pandas()
    # A damaged file makes the reader raise nearly anything: OSError, ArrowException, ...
    except Exception as error:
        raise ValueError(f"{path} is not a sound Parquet file: {error}; check data.root") from error
    if frame.empty:
        raise ValueError(f"{path} has no rows; check data.root")
    frame.columns = [str(name) for name in frame.columns]
    if not frame.columns.is_unique:
        raise ValueError(f"{path} has columns of the same name: {list(frame.columns)}; rename them")
    index = [] if isinstance(frame.index, pd.RangeIndex) else [str(frame.index.name or "unnamed")]
    for name in frame:
        if name not in drop:
            frame[name] = _plain(frame[name], path, reading)
    return frame, omission(f"the saved index of {path.name}", index)


def _plain(column: pd.Series, path: Path, reading: Reading) -> pd.Series:
    """A column of objects or of text as one of numbers, truth values or categories."""
    kind = column.dtype
    if not (pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind)):
        return column
    present = column.notna()
    values = column[present].tolist()
    if all(isinstance(value, bool) for value in values):
        return column
    if all(isinstance(value, _NUMBERS) and not isinstance(value, bool) for value in values):
        return column.map(float, na_action="ignore").astype(np.float64)
    if not all(isinstance(value, str) for value in values):
        odd = next(value for value in values if not isinstance(value, str))
        raise ValueError(
            f"column {column.name!r} of {path} holds values of type {type(odd).__name__} "
            f"({odd!r:.60}), which have no encoding: list it in data.drop, or make numbers or text "
            "of it first"
        )
    rows = np.flatnonzero(present) + 1
    places = [Place(str(path), int(row), "row") for row in rows]
    texts = [value.strip() for value in values]
    typed = typed_text(TextColumn(str(column.name), texts, places), reading)
    return pd.Series(typed.to_numpy(), column.index[present]).reindex(column.index)
