"""Tables from CSV and Parquet files, every column typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from trainables.data.reading.columns import ColumnNote, Reading, TextColumn, typed
from trainables.data.reading.omissions import Omission, omission
from trainables.data.reading.text_files import read_rows

ENDINGS = {".csv": None, ".tsv": "\t", ".parquet": None}


def read_tables(
    paths: Mapping[str, Path],
    reading: Reading,
    drop: Collection[str],
    encoding: str | None = None,
) -> tuple[dict[str, pd.DataFrame], tuple[ColumnNote, ...], tuple[Omission, ...]]:
    """Read the files of a data set, deciding each column's type on the rows of all of them.

    Args:
        paths: A file per split; CSV and Parquet may be mixed.
        reading: How text is read.
        drop: Columns that are not used, and therefore not typed either.
        encoding: Of text files without a byte-order mark; UTF-8 where it is ``None``.

    Returns:
        The frames by split, the schema, and what was left out.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file cannot be read, or a column cannot be told; names file, line and value.
    """
    files = {split: _read(path, encoding) for split, path in paths.items()}
    nameless: list[str] = []
    for split, file in files.items():
        found = [name for name in file.frame if _is_saved_index(file.frame[name])]
        files[split] = file._replace(frame=file.frame.drop(columns=found))
        nameless += [f"{paths[split].name}: {name or 'the first'}" for name in found]
    names = dict.fromkeys(name for file in files.values() for name in file.frame)
    notes = [_type_column(name, files, reading) for name in names if name not in drop]
    return (
        {split: file.frame for split, file in files.items()},
        tuple(notes),
        omission("columns without a name that number the rows (a saved index)", nameless),
    )


class _File(NamedTuple):
    """A file's rows, and their places where they are still text."""

    frame: pd.DataFrame
    places: list[tuple[str, int]] | None


def _read(path: Path, encoding: str | None) -> _File:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check data.root")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(
            f"data.root {path} must end in {', '.join(ENDINGS)}, got {path.suffix or 'no suffix'}"
        )
    if ending == ".parquet":
        return _File(_read_parquet(path), None)
    header, rows = read_rows(path, ENDINGS[ending], encoding, quoted=True)
    if not rows:
        raise ValueError(f"{path} has a header and no rows; check data.root")
    columns = {name: [row.fields[i].strip() for row in rows] for i, name in enumerate(header)}
    return _File(pd.DataFrame(columns, dtype=object), [(str(path), row.line) for row in rows])


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    # A damaged file makes the reader raise nearly anything: OSError, ArrowException, ...
    except Exception as error:
        raise ValueError(f"{path} is not a sound Parquet file: {error}; check data.root") from error
    if frame.empty:
        raise ValueError(f"{path} has no rows; check data.root")
    frame.columns = [str(name) for name in frame.columns]
    if not frame.columns.is_unique:
        raise ValueError(f"{path} has columns of the same name: {list(frame.columns)}; rename them")
    return frame


def _is_saved_index(column: pd.Series) -> bool:
    """A column that pandas wrote without a name: different whole numbers."""
    name = str(column.name)
    if name and not name.startswith("Unnamed:") and not name.startswith("__index_level_"):
        return False
    texts = column.astype(str)
    return bool(texts.is_unique and texts.str.fullmatch(r"\d+").all())


def _type_column(name: str, files: Mapping[str, _File], reading: Reading) -> ColumnNote:
    """Replace a column's text by typed values, in every file that has it."""
    holders = [file for file in files.values() if name in file.frame]
    texts = [(file.frame, file.places) for file in holders if file.places is not None]
    note = None
    if texts:
        values = [value for frame, _ in texts for value in frame[name]]
        places = [place for _, of_file in texts for place in of_file]
        column, note = typed(TextColumn(name, values, places), reading)
        start = 0
        for frame, _ in texts:
            frame[name] = column.iloc[start : start + len(frame)].to_numpy()
            start += len(frame)
    if note is not None and len(texts) == len(holders):
        return note
    return _note(pd.concat([file.frame[name] for file in holders]), reading)


def _note(column: pd.Series, reading: Reading) -> ColumnNote:
    """A line of the schema for a column that came with its type."""
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column)
    kind = "number" if numeric and str(column.name) not in reading.categorical else "category"
    values = column.nunique()
    rows = int(column.notna().sum())
    if (
        kind == "category"
        and str(column.name) not in reading.categorical
        and values > 0.9 * rows > 18
    ):
        raise ValueError(
            f"column {column.name!r} has {values} different values in {rows} rows: nearly every "
            "row has its own, which is no category: list it in data.drop, or in data.categorical "
            "to insist"
        )
    remark = "the same in every row" if values == 1 else ""
    return ColumnNote(str(column.name), kind, values, int(column.isna().sum()), remark)
