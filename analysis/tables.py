"""Tables and figures of the report as values: what they hold, how cells read, what goes to CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.words import MISSING


class Cell(NamedTuple):
    """One cell: what is read, what it sorts by, and a remark shown small below it."""

    text: str
    sort: str
    note: str = ""


@dataclass(frozen=True)
class Column:
    """How a column of a frame reads.

    Attributes:
        key: Column of the frame.
        title: Its heading.
        form: The function from a value to text; ``str`` by default.
        numeric: Whether it is right-aligned and sorted as numbers.
        note: A column of the frame whose text is shown small below the value.
        wrap: Whether a long text may break into lines.
    """

    key: str
    title: str
    form: Callable[[Any], str] = str
    numeric: bool = True
    note: str | None = None
    wrap: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its numbers.

    Attributes:
        name: File name without ``.csv``, unique in the report.
        title: Its caption's first words.
        frame: The numbers, all columns of which go to the CSV file.
        columns: What is shown; the first is the row's heading.
        notes: Definitions and reservations, in sentences.
        only: A column of the frame that says which rows are shown; all of them by default.
    """

    name: str
    title: str
    frame: pd.DataFrame
    columns: Sequence[Column]
    notes: Sequence[str] = ()
    only: str | None = None

    def rows(self) -> list[list[Cell]]:
        """The cells shown, row by row."""
        frame = self.frame if self.only is None else self.frame[self.frame[self.only]]
        records = frame.to_dict("records")
        return [[_cell(column, record) for column in self.columns] for record in records]


@dataclass(frozen=True)
class Plot:
    """A figure with its numbers.

    Attributes:
        name: File name without its suffix, unique in the report.
        title: Its heading.
        svg: Stand-alone SVG.
        frame: The numbers drawn.
        alt: What it shows, for those who do not see it.
        caption: How to read it.
    """

    name: str
    title: str
    svg: str
    frame: pd.DataFrame
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures of examples, one picture holding many.

    Attributes:
        name: File name without its suffix.
        title: Its heading.
        png: The picture's bytes.
        width: The width in pixels.
        height: The height in pixels.
        alt: What it shows.
        caption: How to read it.
        frame: Which examples, and their scores.
    """

    name: str
    title: str
    png: bytes
    width: int
    height: int
    alt: str
    caption: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Section:
    """A part of the report that folds.

    Attributes:
        id: Its anchor.
        title: Its heading.
        paragraphs: What it says in words.
        items: Tables, plots and galleries, in order.
        open: Whether it is unfolded at first.
        headline: Sentences that belong to the top of the page.
    """

    id: str
    title: str
    paragraphs: Sequence[str] = ()
    items: Sequence[Table | Plot | Gallery] = ()
    open: bool = True
    preformatted: Sequence[tuple[str, str]] = field(default=())
    headline: Sequence[str] = ()


def _cell(column: Column, record: dict[str, Any]) -> Cell:
    value = record[column.key]
    note = str(record[column.note]) if column.note and record[column.note] else ""
    if not column.numeric:
        text = column.form(value) if not _missing(value) else MISSING
        return Cell(text, text, note)
    if _missing(value):
        return Cell(MISSING, "", note)
    return Cell(column.form(float(value)), repr(float(value)), note)


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def count(value: float) -> str:
    """A whole number."""
    return f"{int(value):,}" if np.isfinite(value) else MISSING
