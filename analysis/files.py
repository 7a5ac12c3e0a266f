"""Files of a results folder: tables read as they are or refused, and files written whole."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet file as a frame.

    Args:
        path: The file; what folders above it are called adds no column.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, or the system refuses it.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
        table.validate(full=True)  # else damaged text is met where a cell is first looked at
        return table.to_pandas()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    # A damaged file makes the reader raise nearly anything: OSError, ArrowException, KeyError, ...
    except Exception as error:
        raise ValueError(f"unreadable as Parquet: {error}") from error


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write beside the final name, and rename: a reader never meets half a file.

    Args:
        path: The file.
        content: The content of it; text is written as UTF-8.

    Raises:
        OSError: The disk refused; what was there before is still there, and nothing else.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return path
