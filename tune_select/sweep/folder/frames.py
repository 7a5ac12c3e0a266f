"""Tables as Parquet, whatever users' settings put into a column."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd
import pyarrow as pa


def to_parquet(frame: pd.DataFrame) -> bytes:
    """The frame as a Parquet file.

    A Parquet column has one type, and a setting need not have: ``evaluation.validation_part`` is
    ``auto`` in one arm and 0.5 in another, ``weight_decay`` off in one and a number in the next. A
    column of several types is written as text, each value as JSON would write it and text as it
    is, rather than lose a finished sweep's table.

    Args:
        frame: One row per trial, epoch or strategy; it is not changed.
    """
    buffer = io.BytesIO()
    mixed = {name: column.map(_text) for name, column in frame.items() if not _one_type(column)}
    frame.assign(**{str(name): column for name, column in mixed.items()}).to_parquet(
        buffer, index=False
    )
    return buffer.getvalue()


def _one_type(column: pd.Series[Any]) -> bool:
    if column.dtype != object:
        return True
    try:
        pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return False
    return True


def _text(value: Any) -> Any:
    missing = value is None or (isinstance(value, float) and value != value)
    if missing or isinstance(value, str):
        return value
    return json.dumps(value, default=str)
