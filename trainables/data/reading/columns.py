"""What the columns of a text file hold, decided on all of their rows by stated rules.

A value is missing where it is empty or one of the usual marks (``NA``, ``NaN``, ``null``, ...), or
in ``na_values``. A column is one of **numbers** where every other value is a number, with
``decimal`` for the decimal mark and ``thousands`` between groups of digits where it is given; a
column in which every value ends in % is read without the sign. In a column of numbers the marks
``?``, ``-``, ``--``, ``.`` and ``unknown`` mean missing too. A column without any number is one of
**categories**.

What lies between is refused with its column, line and value, since each reading of it would be a
guess: numbers beside other text, numbers with another decimal mark or with units, dates, columns
that count the rows, and categories of which nearly every row has its own. ``numeric``,
``categorical`` and ``drop`` decide such columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.data.reading.spelling import alike_remark, one_spelling

# As pandas has them.
_MISSING = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
_MARKS_AMONG_NUMBERS = frozenset({"?", "-", "--", ".", "unknown", "Unknown", "UNKNOWN"})
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
# Digits with anything but letters around them: prices, grouped digits, other decimal marks.
_NUMBERLIKE = re.compile(r"[^\w\s]{0,3}\s*[+-]?\d[\d.,'’_\s]*\s*[^\w\s]{0,3}")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([T ]\d{1,2}:\d{2}.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*"
    r"|\d{1,2}:\d{2}(:\d{2}.*)?"
    rf"|(\w+,? )?\d{{1,2}}[- ]{_MONTH}([-, ]+\d{{2,4}}.*)?"
    rf"|(\w+,? )?{_MONTH}[- ]\d{{1,4}}(,? \d{{2,4}}.*)?",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[ \u00a0\u2009\u202f]")  # those that typesetting puts between digits
_LEADING_ZERO = re.compile(r"0\d+")
_INDEX_ROWS = 20
_OWN_VALUE_SHARE = 0.9
MOST_CATEGORIES = 1000
"""Of a column that nobody lists as categories; each is a feature of every row."""


class Place(NamedTuple):
    """Where a value stands in a file: in which line, or in which row of one without lines."""

    file: str
    number: int
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.file}, {self.unit} {self.number}"


class ColumnNote(NamedTuple):
    """A line of the schema.

    Attributes:
        name: The name of the column.
        kind: What it is read as.
        values: How many different values it has, missing ones aside.
        missing: The number of rows in which it has none.
        remark: What else a reader should know of it; may be empty.
    """

    name: str
    kind: str
    values: int
    missing: int
    remark: str = ""

    def __str__(self) -> str:
        parts = [f"{self.kind}, {self.values:,} values"]
        if self.missing:
            parts.append(f"{self.missing:,} missing")
        if self.remark:
            parts.append(self.remark)
        return f"{self.name or '(without a name)'}: {', '.join(parts)}"


@dataclass(frozen=True)
class Reading:
    """How text is read; from ``data``.

    Attributes:
        numeric: Columns of numbers, whatever else speaks against it.
        categorical: Columns of categories.
        na_values: Further marks of missing values.
        decimal: The decimal mark.
        thousands: The character between groups of digits, or ``None``.
    """

    numeric: frozenset[str] = frozenset()
    categorical: frozenset[str] = frozenset()
    na_values: frozenset[str] = frozenset()
    decimal: str = "."
    thousands: str | None = None

    def plain(self, value: str) -> str:
        """A number's text as Python writes it."""
        if self.thousands == " ":
            value = _SPACES.sub("", value)
        elif self.thousands is not None:
            value = value.replace(self.thousands, "")
        return value if self.decimal == "." else value.replace(".", "\0").replace(",", ".")


@dataclass(frozen=True)
class TextColumn:
    """A column as it stands in a file, and where.

    Attributes:
        name: Its header.
        values: Stripped text of every row.
        places: The places of every row.
    """

    name: str
    values: Sequence[str]
    places: Sequence[Place] = field(repr=False)


def typed(column: TextColumn, reading: Reading) -> tuple[pd.Series, ColumnNote]:
    """A column as numbers or as categories, ``None`` or NaN where it is missing.

    Raises:
        ValueError: It cannot be told, or is not what ``reading`` says; names column, line, value
            and the remedies.
    """
    missing = {value for value in set(column.values) if value in _MISSING | reading.na_values}
    present = set(column.values) - missing
    if column.name in reading.categorical:
        return _categories(column, missing, "as data.categorical says")
    numbers = {value for value in present if _is_number(value, reading)}
    others = present - numbers
    percent = bool(others) and all(v.endswith("%") and _is_number(v[:-1], reading) for v in present)
    forced = column.name in reading.numeric
    if percent:
        numbers, others = present, set()
    elif numbers and others <= _MARKS_AMONG_NUMBERS:
        missing, others = missing | others, set()
    if (numbers or forced) and others:
        _refuse_mixture(column, others, numbers)
    if numbers or (forced and not present):
        if not forced:
            _refuse_row_numbers(column, numbers, missing)
        return _numbers(column, missing, reading, percent)
    if not present:
        raise ValueError(f"column {column.name!r} has no value in any row: list it in data.drop")
    _refuse_unreadable(column, present)
    return _categories(column, missing, "")


def typed_text(column: TextColumn, reading: Reading) -> pd.Series:
    """A column that its file says is text, as categories; missing is what ``na_values`` lists.

    Raises:
        ValueError: Most of its values are numbers, all are dates, or nearly every row has its own;
            names column, place, value and the remedies.
    """
    if column.name in reading.numeric:
        return typed(column, reading)[0]
    missing = set(column.values) & reading.na_values
    present = set(column.values) - missing
    if column.name not in reading.categorical and present:
        numbers = {value for value in present if _is_number(value, reading)}
        if 2 * len(numbers) > len(present):
            place, value = _first(column, numbers)
            raise ValueError(
                f"column {column.name!r} is text, but {len(numbers)} of its {len(present)} values "
                f"are numbers ({value!r}, {place}): list it in data.numeric (and what means "
                "missing in data.na_values), or in data.categorical if they are codes"
            )
        _refuse_unreadable(column, present)
    return _categories(column, missing, "")[0]


def _is_number(value: str, reading: Reading) -> bool:
    return _PLAIN.fullmatch(reading.plain(value)) is not None


def _numbers(
    column: TextColumn, missing: set[str], reading: Reading, percent: bool
) -> tuple[pd.Series, ColumnNote]:
    parsed = {
        value: np.nan if value in missing else float(reading.plain(value.removesuffix("%")))
        for value in set(column.values)
    }
    values: NDArray[np.float64] = np.array([parsed[value] for value in column.values])
    distinct = len(np.unique(values[~np.isnan(values)]))
    remarks = ["in percent"] if percent else []
    remarks += ["the same in every row"] if distinct == 1 else []
    marks = sorted(missing & _MARKS_AMONG_NUMBERS)
    remarks += [f"{', '.join(map(repr, marks))} read as missing"] if marks else []
    padded = next((v for v in column.values if _LEADING_ZERO.fullmatch(v)), None)
    remarks += [f"written {padded!r}: data.categorical if these are codes"] if padded else []
    note = ColumnNote(
        column.name, "number", distinct, int(np.isnan(values).sum()), ", ".join(remarks)
    )
    return pd.Series(values, name=column.name), note


def _categories(column: TextColumn, missing: set[str], remark: str) -> tuple[pd.Series, ColumnNote]:
    spelling = one_spelling(set(column.values) - missing)
    values = [spelling.get(value) for value in column.values]
    distinct = set(spelling.values())
    remarks = [
        remark,
        "the same in every row" if len(distinct) == 1 else "",
        alike_remark(distinct),
    ]
    note = ColumnNote(
        column.name, "category", len(distinct), values.count(None), ", ".join(filter(None, remarks))
    )
    return pd.Series(values, name=column.name, dtype=object), note


def _refuse_mixture(column: TextColumn, others: set[str], numbers: set[str]) -> NoReturn:
    where, value = _first(column, others)
    if not numbers:
        raise ValueError(
            f"column {column.name!r} must be numeric, got {value!r} ({where})"
            f"{_marks_hint(value)}: choose another column, or correct the file"
        )
    raise ValueError(
        f"column {column.name!r} holds {len(numbers)} different numbers and also {value!r} "
        f"({where}; {len(others)} such value(s)): correct it, list it in data.na_values if it "
        f"means missing, or list the column in data.categorical or data.drop{_marks_hint(value)}"
    )


def _marks_hint(value: str) -> str:
    if "," in value and any(letter.isdigit() for letter in value):
        return "; set data.decimal: ',' for a decimal comma, data.thousands: ',' for grouped digits"
    return ""


def _refuse_row_numbers(column: TextColumn, numbers: set[str], missing: set[str]) -> None:
    rows = len(column.values)
    if len(numbers) != rows or missing & set(column.values):
        return
    if not all(value.isdecimal() for value in numbers):
        return
    refuse_count(column.name, {int(value) for value in numbers}, rows)


def refuse_count(name: str, values: set[int], rows: int) -> None:
    """Refuse a column of whole numbers that count the rows.

    Args:
        name: The name of the column.
        values: The values that it has.
        rows: How many there are, with a value each.

    Raises:
        ValueError: It counts them.
    """
    if rows >= _INDEX_ROWS and values in (set(range(rows)), set(range(1, rows + 1))):
        raise ValueError(
            f"column {name!r} counts the rows ({min(values)} to {max(values)}), as a saved index "
            "does: list it in data.drop, or in data.numeric if a model should learn from it"
        )


def _refuse_unreadable(column: TextColumn, present: set[str]) -> None:
    """Text that looks like numbers or dates, or of which nearly every row has its own."""
    if all(_DATE.fullmatch(value) for value in present):
        where, value = _first(column, present)
        raise ValueError(
            f"column {column.name!r} holds dates or times ({value!r}, {where}): list it in "
            "data.drop, make numbers of it (year, month, ...), or list it in data.categorical"
        )
    if sum(_NUMBERLIKE.fullmatch(value) is not None for value in present) > len(present) / 2:
        where, value = _first(column, {v for v in present if _NUMBERLIKE.fullmatch(v)})
        raise ValueError(
            f"column {column.name!r} looks like numbers but none can be read ({value!r}, {where})"
            f"{_marks_hint(value)}; or remove the units and signs, or list it in data.categorical "
            "or data.drop"
        )
    if len(present) > MOST_CATEGORIES:
        where, value = _first(column, present)
        raise ValueError(
            f"column {column.name!r} has {len(present):,} different texts ({value!r}, {where}), "
            "which would be as many features: list it in data.drop, or in data.categorical to "
            "insist"
        )
    rows = sum(value in present for value in column.values)
    if rows > _INDEX_ROWS and len(present) > _OWN_VALUE_SHARE * rows:
        where, value = _first(column, present)
        raise ValueError(
            f"column {column.name!r} has {len(present)} different texts in {rows} rows ({value!r}, "
            f"{where}): nearly every row has its own, which is no category: list it in data.drop, "
            "or in data.categorical to insist"
        )


def _first(column: TextColumn, values: set[str]) -> tuple[Place, str]:
    """Place and text of the first of some values."""
    row = next(i for i, value in enumerate(column.values) if value in values)
    return column.places[row], column.values[row]
