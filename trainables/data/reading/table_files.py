"""Tables from CSV and Parquet files, every column typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from trainables.data.reading.columns import (
    ColumnNote,
    Place,
    Reading,
    TextColumn,
    refuse_count,
    typed,
)
from trainables.data.reading.omissions import Omission, omission
from trainables.data.reading.parquet_files import read_parquet
from trainables.data.reading.spelling import alike_remark
from trainables.data.reading.text_files import read_rows
from tune_select.wording import did_you_mean

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
        encoding: The encoding of text files without a byte-order mark; UTF-8 where it is ``None``.

    Returns:
        The frames by split, the schema, and what was left out.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file cannot be read, or a column cannot be told; names file, line and value.
    """
    files = {split: _read(path, reading, drop, encoding) for split, path in paths.items()}
    left_out = [entry for file in files.values() for entry in file.left_out]
    nameless: list[str] = []
    for split, file in files.items():
        found = [name for name in file.frame if _is_saved_index(file.frame[name])]
        files[split] = file._replace(frame=file.frame.drop(columns=found))
        nameless += [f"{paths[split].name}: {name or 'the first'}" for name in found]
    left_out += omission("columns without a name that number the rows (a saved index)", nameless)
    for split in [split for split in files if split != "train"]:
        extra = _only_here(files[split].frame, files["train"].frame, paths, split, drop)
        files[split] = files[split]._replace(frame=files[split].frame.drop(columns=extra))
        left_out += omission(f"columns that {paths[split].name} alone has", extra)
    names = [name for name in files["train"].frame if name not in drop]
    notes = [_type_column(name, files, reading) for name in names]
    return {split: file.frame for split, file in files.items()}, tuple(notes), tuple(left_out)


class _File(NamedTuple):
    """A file's rows, their places where they are still text, and what of it was left out."""

    frame: pd.DataFrame
    places: list[Place] | None
    left_out: tuple[Omission, ...]


def _read(path: Path, reading: Reading, drop: Collection[str], encoding: str | None) -> _File:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check data.root")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(
            f"data.root {path} must end in {', '.join(ENDINGS)}, got {path.suffix or 'no suffix'}"
        )
    if ending == ".parquet":
        frame, left_out = read_parquet(path, reading, drop)
        return _File(frame, None, left_out)
    header, rows, left_out = read_rows(path, ENDINGS[ending], encoding, quoted=True)
    if not rows:
        raise ValueError(f"{path} has a header and no rows; check data.root")
    columns = {name: [row.fields[i].strip() for row in rows] for i, name in enumerate(header)}
    places = [Place(str(path), row.line) for row in rows]
    return _File(pd.DataFrame(columns, dtype=object), places, left_out)


def _only_here(
    frame: pd.DataFrame,
    train: pd.DataFrame,
    paths: Mapping[str, Path],
    split: str,
    drop: Collection[str],
) -> list[str]:
    """The columns of a split that training lacks, which nothing can be learned of.

    Raises:
        ValueError: The split lacks a column that training has.
    """
    lacking = [name for name in train if name not in frame and name not in drop]
    if lacking:
        near = did_you_mean(lacking[0], list(frame))
        raise ValueError(
            f"{paths[split]} lacks the columns {lacking} that {paths['train'].name} has, {near}: "
            "name them alike, or list them in data.drop"
        )
    return [name for name in frame if name not in train]


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
    forced = str(column.name) in reading.numeric
    numeric = (numeric or forced) and str(column.name) not in reading.categorical
    kind = "number" if numeric else "category"
    values = column.nunique()
    rows = int(column.notna().sum())
    if pd.api.types.is_integer_dtype(column.dtype) and numeric and not forced:
        refuse_count(str(column.name), set(column.dropna().tolist()), len(column))
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
    alike = "" if numeric else alike_remark(map(str, column.dropna().unique()))
    remarks = ["the same in every row" if values == 1 else "", alike]
    missing = int(column.isna().sum())
    return ColumnNote(str(column.name), kind, values, missing, ", ".join(filter(None, remarks)))
