"""One opener: marks, encodings, line ends and fields of any length; errors with file and line."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.reading.text_files import read_rows, read_text

WORDS = "naïve café\nzweite Zeile\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le-marked", "utf-16-be-marked"]
)
def test_a_mark_says_the_encoding_and_belongs_to_no_word(tmp_path: Path, encoding: str) -> None:
    name = encoding.removesuffix("-marked")
    text = WORDS if name == encoding else "\ufeff" + WORDS
    (tmp_path / "a.txt").write_bytes(text.encode(name))
    assert read_text(tmp_path / "a.txt") == WORDS
    assert read_text(tmp_path / "a.txt", "latin-1" if name != "utf-8" else None) == WORDS


def test_other_encodings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"first\nna\xefve\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 2: not utf-8 text .*data\.encoding"):
        read_text(path)
    assert read_text(path, "latin-1") == "first\nnaïve\n"
    with pytest.raises(ValueError, match=r"data\.encoding must be an encoding's name, got 'latn'"):
        read_text(path, "latn")


def test_line_ends_of_all_systems_are_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\n")
    assert read_text(tmp_path / "a.txt") == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\0c", "line 2: holds a NUL"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: holds a NUL"),
        (b"", "is empty: its first line must name the columns"),
        (b"a,b,a\n1,2,3\n", r"line 1: the columns \['a'\] are named twice"),
        (b"a,b\n1,2\n1,2,3\n", "line 3: 3 fields where the header has 2"),
        (b'a,b\n"one\ntwo",2\n3\n', "line 4: 1 fields where the header has 2"),
        (b'a,b\n1,2\n"never closed,3\n4,5\n', "line 4: unexpected end of data"),
        (b'a,b\n1,"two"three\n', "line 2: ',' expected after"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))},? {message}"):
        read_rows(path, ",")


def test_pipes_and_folders_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", tmp_path):
        with pytest.raises(ValueError, match="is not a regular file"):
            read_text(path)
    with pytest.raises(FileNotFoundError, match="no file .*nowhere"):
        read_text(tmp_path / "nowhere")


def test_fields_of_any_length_are_read_and_the_limit_is_left_alone(tmp_path: Path) -> None:
    limit, text = csv.field_size_limit(), "word " * 100_000
    (tmp_path / "a.csv").write_text(f"text,label\n{text},1\n")
    (row,) = read_rows(tmp_path / "a.csv", None)[1]
    assert row.fields == [text, "1"]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_seen(tmp_path: Path, separator: str) -> None:
    (tmp_path / "a.csv").write_text(f"text{separator}label\nfine{separator}1\n")
    header, rows, left_out = read_rows(tmp_path / "a.csv", None)
    assert (header, rows[0].fields, rows[0].line) == (["text", "label"], ["fine", "1"], 2)
    assert left_out == ()


def test_a_separator_in_quotes_counts_for_nothing_and_one_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"a, b, c";d\n1;2\n')
    assert read_rows(path, None)[0] == ["a, b, c", "d"]
    path.write_text("sep=|\na|b,c,d\n1|2\n3\n")
    with pytest.raises(ValueError, match="line 4: 1 fields"):
        read_rows(path, None)
    path.write_text("sep=|\na|b,c,d\n1|2\n")
    header, rows, _ = read_rows(path, None)
    assert (header, rows) == (["a", "b,c,d"], [(3, ["1", "2"])])


def test_what_spreadsheets_leave_behind_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,,b,,\n1,,2,,\n , ,,,\n3,,4,,\n,,,,\n")
    header, rows, left_out = read_rows(path, None)
    assert header == ["a", "b"]
    assert [row.fields for row in rows] == [["1", "2"], ["3", "4"]]
    assert list(map(str, left_out)) == [
        "2 rows of empty fields in a.csv (line 3, line 5)",
        "3 columns of a.csv without a name and without a value (column 2, column 4, column 5)",
    ]
    path.write_text("a,,\n1,2,3\n")
    with pytest.raises(ValueError, match=r"line 1: the columns \[2, 3\] .* have no name"):
        read_rows(path, None)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(b"a,b\n", mtime=0), "a gzip file"),
        (b"PK\3\4...", "a ZIP archive or an Excel workbook"),
        (b"PAR1...", "a Parquet file"),
        (bz2.compress(b"a"), "a bzip2 file"),
        (lzma.compress(b"a"), "an xz file"),
    ],
)
def test_other_kinds_of_files_are_told_by_what_they_are(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.txt is {kind}, not text: unpack or convert it"):
        read_text(path)


@given(rows=st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=2,
                              max_size=2), max_size=8))  # fmt: skip
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["x", "y"], *rows])
    written = [row for row in rows if any(field.strip() for field in row)]
    assert [row.fields for row in read_rows(path, ",")[1]] == written
