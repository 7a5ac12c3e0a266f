"""The one opener of text files: corpora, tables of sentences and of numbers, annotations.

A byte-order mark says which Unicode encoding a file is in and belongs to no word, column or JSON.
Without one a file is UTF-8, or what ``encoding`` says. Anything else is refused with its place, and
what is no text at all (a compressed file under a text's name) by its kind.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from trainables.data.reading.omissions import Omission, omission

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_OTHER_KINDS = (
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "an SQLite database"),
)
_SEPARATORS = (",", ";", "\t", "|")
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
"""What Excel writes above a table to say which character separates its fields."""


class Row(NamedTuple):
    """A row of a delimited file.

    Attributes:
        line: Where it ends, from 1, as an editor counts.
        fields: The number of fields of the header.
    """

    line: int
    fields: list[str]


def read_text(path: Path, encoding: str | None = None, *, selectable: bool = True) -> str:
    """A file's text, with line ends of any system as ``\\n``.

    Args:
        path: A regular file.
        encoding: The encoding of a file without a byte-order mark; UTF-8 where it is ``None``.
        selectable: Whether ``data.encoding`` can name another, for errors.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not a regular file, not text in the encoding, or an encoding that does not
            exist; names the file and the line.
    """
    return _decoded(path, encoding, selectable=selectable).replace("\r\n", "\n").replace("\r", "\n")


def read_rows(
    path: Path, separator: str | None, encoding: str | None = None, *, quoted: bool = False
) -> tuple[list[str], list[Row], tuple[Omission, ...]]:
    """Header and rows of a delimited file, and what of it is neither.

    Commas and semicolons quote as spreadsheets do; tab-separated files do not quote, so that a
    quotation mark there is just a character. Empty lines are passed over; rows and nameless columns
    of empty fields, which spreadsheets leave behind a table, are left out.

    Args:
        path: A regular file with a header.
        separator: The separator between fields; ``None`` for the one of ``,``, ``;``, tab and ``|``
            that the first line has most of outside quotation marks (a comma where it has none). A
            line ``sep=;`` above it names another.
        encoding: The encoding as in ``read_text``.
        quoted: Whether tab-separated files quote as well.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: What ``read_text`` refuses; no header or one with a name twice; a row of another
            length, or a quotation mark that is never closed; names the file and the line.
    """
    content = _decoded(path, encoding)
    named = _SEPARATOR_LINE.match(content)
    above = 0 if named is None else 1
    if named is not None:
        content, separator = content[named.end() :], named[1]
    if separator is None:
        first = _QUOTED.sub("", content[: content.find("\n")])
        separator = max(_SEPARATORS, key=first.count)
    text = io.StringIO(content, newline="")
    if separator == "\t" and not quoted:
        reader = csv.reader(text, delimiter=separator, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(text, delimiter=separator, strict=True)
    rows: list[Row] = []
    blank: list[str] = []
    with _fields_of_any_length():
        try:
            header = next(reader, None) or []
            for fields in reader:
                line = reader.line_num + above
                if not any(field.strip() for field in fields):
                    blank += [f"line {line}"] * bool(fields)
                    continue
                if len(fields) != len(header) and header:
                    raise ValueError(
                        f"{path}, line {line}: {len(fields)} fields where the header has "
                        f"{len(header)}: quote fields that hold {separator!r}, or correct the line"
                    )
                rows.append(Row(line, fields))
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {reader.line_num + above}: {error}; a quotation mark inside a "
                "quoted field is written twice"
            ) from error
    header, rows, dropped = _without_empty_columns(header, rows)
    _check_header(path, header, 1 + above)
    left_out = (
        *omission(f"rows of empty fields in {path.name}", blank),
        *omission(f"columns of {path.name} without a name and without a value", dropped),
    )
    return header, rows, left_out


def _decoded(path: Path, encoding: str | None, *, selectable: bool = True) -> str:
    content = _content(path)
    kind = next((kind for mark, kind in _OTHER_KINDS if content.startswith(mark)), None)
    if kind is not None:
        raise ValueError(f"{path} is {kind}, not text: unpack or convert it")
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    chosen = marked or encoding or "utf-8"
    try:
        text = content.decode(chosen)
    except LookupError as error:
        raise ValueError(f"data.encoding must be an encoding's name, got {encoding!r}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: not {chosen} text ({error.reason} {content[error.start]:#04x}): "
            + (
                "name its encoding in data.encoding (latin-1, cp1252, ...), or "
                if selectable
                else ""
            )
            + "convert the file to UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{path}, line {line}: holds a NUL character: it is not a text file, or one in another "
            "encoding (UTF-16 without its mark?): convert it to UTF-8"
        )
    return text


def _content(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe would wait for ever
            raise ValueError(f"{path} is not a regular file; check data.root")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"no file {path}; check data.root") from error
    return path.read_bytes()


def _without_empty_columns(
    header: list[str], rows: list[Row]
) -> tuple[list[str], list[Row], list[str]]:
    """Header and rows without the nameless columns that hold nothing, and which these are."""
    nameless = [place for place, name in enumerate(header) if not name.strip()]
    empty = {place for place in nameless if not any(row.fields[place].strip() for row in rows)}
    if not empty or not rows:
        return header, rows, []
    kept = [place for place in range(len(header)) if place not in empty]
    rows = [Row(row.line, [row.fields[place] for place in kept]) for row in rows]
    return (
        [header[place] for place in kept],
        rows,
        [f"column {place + 1}" for place in sorted(empty)],
    )


def _check_header(path: Path, fields: list[str], line: int) -> None:
    if not fields:
        raise ValueError(f"{path} is empty: its first line must name the columns")
    nameless = [place + 1 for place, name in enumerate(fields) if not name.strip()]
    if len(nameless) > 1:
        raise ValueError(
            f"{path}, line {line}: the columns {nameless} (from 1) have no name: name them, or is "
            "this line a title above the header?"
        )
    twice = sorted({name for name in fields if fields.count(name) > 1})
    if twice:
        raise ValueError(f"{path}, line {line}: the columns {twice} are named twice; rename them")


@contextmanager
def _fields_of_any_length() -> Iterator[None]:
    """Lift the csv module's limit of 128 KiB a field: a long text is no error."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)
