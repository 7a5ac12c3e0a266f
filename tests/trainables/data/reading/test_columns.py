"""Columns of text are typed by stated rules, on all rows; what lies between is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.reading.columns import ColumnNote, Place, TextColumn, typed
from trainables.data.settings.tables import TableSettings
from trainables.data.tabular import Table, load_table

NUMBERS = [f"{value:.3f}" for value in np.random.default_rng(0).normal(100, 15, 60)]


def read(values: Sequence[str], **data: Any) -> tuple[pd.Series, ColumnNote]:
    places = [Place("a.csv", line) for line in range(2, 2 + len(values))]
    return typed(TextColumn("x", values, places), TableSettings.of(data).reading())


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_are_read_bit_for_bit(values: list[float]) -> None:
    column, note = read([repr(value) for value in values], numeric=["x"])
    assert column.tolist() == values
    assert note.kind == "number"


@pytest.mark.parametrize("mark", ["", "NA", "null", "?", "-", "unknown"])
def test_a_stray_mark_in_numbers_is_a_missing_number(mark: str) -> None:
    column, note = read([*NUMBERS, mark])
    assert column.isna().sum() == note.missing == 1
    assert (note.kind, note.values) == ("number", len(set(NUMBERS)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [*NUMBERS, "broken"],
            r"'x' holds 60 different numbers and also 'broken' \(a\.csv, line 62",
        ),
        ([*NUMBERS, "12.5kg"], "also '12.5kg'.*data.na_values.*data.categorical or data.drop"),
        ([*NUMBERS, "1,234.5"], "also '1,234.5'.*data.thousands: ','"),
        ([v.replace(".", ",") for v in NUMBERS], r"looks like numbers.*line 2\); set data.decimal"),
        ([f"{v} €" for v in NUMBERS], "looks like numbers but none can be read"),
        ([f"${v}" for v in NUMBERS], "looks like numbers but none can be read"),
        (["2011-01-01", "2011-01-02"] * 30, r"dates or times \('2011-01-01', a\.csv, line 2\)"),
        (["1/2/2011", "13/2/11"] * 30, "dates or times"),
        (["12:30", "7:05:10"] * 30, "dates or times"),
        (["1 Jan 2020", "12-Feb-21", "Mon, 3 March 2021"] * 20, "dates or times"),
        (["Jan-20", "March 2021", "Sept. 4, 2021"] * 20, "dates or times"),
        (["1_000", "2_000"] * 30, "looks like numbers but none can be read"),
        ([f"user {i}" for i in range(1001)] * 3, "1,001 different texts .* as many features"),
        ([f"row-{i}" for i in range(60)], "60 different texts in 60 rows.*every row has its own"),
        ([str(i) for i in range(60)], r"counts the rows \(0 to 59\).*data\.drop, or in data\.num"),
        ([str(60 - i) for i in range(60)], r"counts the rows \(1 to 60\)"),
        ([""] * 60, "has no value in any row: list it in data.drop"),
    ],
)
def test_what_would_be_a_guess_is_refused(values: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        read(values)
    assert "'x'" in str(refused.value)
    if values[0]:
        assert read(values, categorical=["x"])[1].kind == "category"  # said, it is done


@pytest.mark.parametrize(
    ("values", "data", "first"),
    [
        (["1.234,5", "7,25"], {"decimal": ",", "thousands": "."}, 1234.5),
        (["1,234.5", "7.25"], {"thousands": ","}, 1234.5),
        (["1 234", "7"], {"thousands": " "}, 1234.0),
        (["1\u00a0234", "7"], {"thousands": " "}, 1234.0),
        (["1\u202f234", "7"], {"thousands": " "}, 1234.0),
        (["0,5", "7,25"], {"decimal": ","}, 0.5),
        (["12.5%", "7%"], {}, 12.5),
        (["1.5", "gone"], {"na_values": ["gone"]}, 1.5),
        (["-1e-3", ".5"], {}, -1e-3),
    ],
)
def test_marks_that_are_named_are_read(
    values: list[str], data: dict[str, Any], first: float
) -> None:
    assert read(values, **data)[0][0] == first


def test_a_point_is_no_number_under_a_decimal_comma() -> None:
    with pytest.raises(ValueError, match=r"also '1\.5'"):
        read(["0,5", "1.5"], decimal=",")


def test_codes_stay_codes_and_row_numbers_may_be_meant() -> None:
    column, note = read(["007", "7", "007"], categorical=["x"])
    assert column.tolist() == ["007", "7", "007"]
    assert note.kind == "category"
    assert read([str(i) for i in range(60)], numeric=["x"])[1].kind == "number"
    assert read(["a", "b"] * 30)[0].tolist() == ["a", "b"] * 30


def load(path: Path, frame: pd.DataFrame, **data: Any) -> Table:
    frame.to_csv(path, index=data.pop("index", False), encoding=data.pop("written", "utf-8"))
    return load_table({"name": "table", "root": str(path), **data})


def table() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    return pd.DataFrame({"x": NUMBERS, "kind": ["a", "b", "c"] * 20,
                         "target": generator.normal(size=60)})  # fmt: skip


def test_a_saved_index_is_left_out(tmp_path: Path) -> None:
    plain = load(tmp_path / "a.csv", table())
    indexed = load(tmp_path / "b.csv", table(), index=True)
    shuffled = load(tmp_path / "c.csv", table().sample(frac=1, random_state=0), index=True)
    assert plain.features == indexed.features == shuffled.features
    np.testing.assert_array_equal(plain.train.inputs, indexed.train.inputs)
    assert [entry.count for entry in indexed.left_out] == [1]
    assert not plain.left_out


def test_the_schema_says_what_was_read(tmp_path: Path) -> None:
    frame = table().assign(same="1")
    frame.loc[3, "x"] = "?"
    found = load(tmp_path / "a.csv", frame, missing="impute")
    lines = [str(note) for note in found.schema]
    assert lines == [
        "x: number, 59 values, 1 missing, '?' read as missing",
        "kind: category, 3 values",
        "target: number, 60 values",
        "same: number, 1 values, the same in every row",
    ]
    assert np.isfinite(found.train.inputs).all()


def test_imputing_lets_nothing_through_that_is_not_finite(tmp_path: Path) -> None:
    frame = table().assign(huge=["1e300", "-1e300", "0"] * 20)
    with pytest.raises(ValueError, match=r"column 'huge' .*too large to standardise"):
        load(tmp_path / "a.csv", frame, missing="impute")
    late = table().assign(late=["", *["1"] * 59])
    first_only = table().assign(late=["1", *[""] * 59])
    assert np.isfinite(load(tmp_path / "b.csv", late, missing="impute").train.inputs).all()
    with pytest.raises(ValueError, match="column 'late' has no value in any training row"):
        load(tmp_path / "c.csv", first_only, missing="impute", split_seed=split_with_test_row(60))


def split_with_test_row(rows: int) -> int:
    """A seed whose test split holds row 0."""
    seeds = range(100)
    return next(s for s in seeds if 0 in np.random.default_rng(s).permutation(rows)[: rows // 5])


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    plain = load(tmp_path / "a.csv", table())
    marked = load(tmp_path / "b.csv", table(), written="utf-16")
    np.testing.assert_array_equal(plain.train.inputs, marked.train.inputs)
    (tmp_path / "c.csv").write_bytes((tmp_path / "a.csv").read_bytes() + b"1.0,a\n")
    with pytest.raises(ValueError, match=r"c\.csv, line 62: 2 fields where the header has 3"):
        load_table({"name": "table", "root": str(tmp_path / "c.csv")})


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        (["007", "12"], "written '007': data.categorical if these are codes"),
        (["Red", "red"], "'Red' and 'red' look alike"),
        (["red", "red\u200b"], r"'red' and 'red\u200b' look alike"),
        (["may", "june"], ""),
    ],
)
def test_what_a_reader_should_know_is_remarked(values: list[str], remark: str) -> None:
    assert read(values * 30)[1].remark == remark


def test_two_forms_of_a_letter_are_one_category() -> None:
    column, note = read(["caf\u00e9", "cafe\u0301", "tea"] * 20)
    assert set(column) == {"caf\u00e9", "tea"}
    assert (note.values, note.remark) == (2, "")
    alone, _ = read(["cafe\u0301", "tea"] * 20)  # and one form alone keeps its identity
    assert set(alone) == {"cafe\u0301", "tea"}


def folder(path: Path, train: pd.DataFrame, test: pd.DataFrame, **data: Any) -> Table:
    train.to_csv(path / "train.csv", index=False)
    test.to_csv(path / "test.csv", index=False)
    return load_table({"name": "table", "root": str(path), **data})


def test_columns_and_values_of_the_test_file_alone_are_said(tmp_path: Path) -> None:
    found = folder(tmp_path, table(), table().assign(kind="new", more=1))
    assert list(map(str, found.left_out)) == [
        "1 columns that test.csv alone has (more)",
        "1 value(s) of 'kind' that no training row has, read as none of its values (new)",
    ]
    assert [note.name for note in found.schema] == ["x", "kind", "target"]
    with pytest.raises(ValueError, match=r"test\.csv lacks the columns \['kind'\].*mean Kind\?"):
        folder(tmp_path, table(), table().rename(columns={"kind": "Kind"}))
    dropped = folder(tmp_path, table(), table().drop(columns="kind"), drop=["kind"])
    assert dropped.features == ("x",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": ["target"]}, r"data\.drop: names 'target', which is data\.target"),
        ({"categorical": ["target"]}, r"data\.categorical: names 'target', which is data\.target"),
        ({"target": "Target"}, "not among the columns .*did you mean target?"),
        ({"target": "same"}, r"target 'same' is 3 in all 42 training rows"),
    ],
)
def test_a_target_that_cannot_be_predicted_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.csv", table().assign(same="3"), **change)


def parquet(path: Path, **columns: Any) -> Table:
    data = columns.pop("data", {})
    table().astype({"x": float}).assign(**columns).to_parquet(path)
    return load_table({"name": "table", "root": str(path), **data})


def test_types_of_parquet_that_are_numbers_or_categories_are_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    money = [Decimal(f"{i}.5") for i in range(60)]
    assert parquet(path, money=money).features[-1] == "money"
    gaps = {"count": pd.array([1, 2, None] * 20, dtype="Int64"),
            "flag": pd.array([True, None, False] * 20, dtype="boolean")}  # fmt: skip
    found = parquet(path, **gaps, data={"missing": "impute"})
    assert found.features[-4:] == ("count", "flag=<missing>", "flag=False", "flag=True")
    assert parquet(path, kind=["a ", "a", " b"] * 20).features == ("x", "kind=a", "kind=b")
    text = table()["target"].map("{:.3f}".format)
    assert parquet(path, target=text).target_std == pytest.approx(text.astype(float)[:].std(), 0.2)
    marks = ["?" if i % 5 == 0 else f"{i}.5" for i in range(60)]
    read_so = {"numeric": ["marks"], "na_values": ["?"], "missing": "impute"}
    assert parquet(path, marks=marks, data=read_so).features[-1] == "marks"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2]] * 60, "holds values of type ndarray"),
        ([date(2020, 1, 1)] * 60, "holds values of type date"),
        ([b"a", b"b"] * 30, "holds values of type bytes"),
        (["1", "2", "?"] * 20, r"is text, but 2 of its 3 values are numbers \('1', .*, row 1\)"),
        (["2011-01-01", "2011-01-02"] * 30, "holds dates or times"),
        (list(range(60)), r"counts the rows \(0 to 59\)"),
    ],
)
def test_types_of_parquet_without_an_encoding_are_refused(
    tmp_path: Path, values: list[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"column 'odd' .*{message}"):
        parquet(tmp_path / "a.parquet", odd=values)
    assert parquet(tmp_path / "a.parquet", odd=values, data={"drop": ["odd"]}).features[0] == "x"


def test_identifiers_of_a_parquet_file_are_refused(tmp_path: Path) -> None:
    frame = table().astype({"x": float}).assign(key=[f"k{i}" for i in range(60)])
    frame.to_parquet(tmp_path / "a.parquet")
    settings = {"name": "table", "root": str(tmp_path / "a.parquet")}
    with pytest.raises(ValueError, match="column 'key' has 60 different texts in 60 rows"):
        load_table(settings)
    assert len(load_table({**settings, "drop": ["key"]}).features) == 4
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match=r"a\.parquet is not a sound Parquet file"):
        load_table(settings)
