"""The first value that is not missing, of columns of any type."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.results.known import first_known


def test_the_first_that_says_something() -> None:
    index = [3, 5, 7, 9]
    first = pd.Series([None, 0.5, np.nan, None], index=index, dtype=object)
    second = pd.Series([1.0, 2.0, np.nan, np.nan], index=index)
    third = pd.Series(["a", "b", "c", None], index=index)
    found = first_known(first, second, third)
    assert found.tolist() == [1.0, 0.5, "c", None]
    assert found.index.tolist() == index
    assert found.dtype == object
    assert first_known(first, second, "none")[9] == "none"


def test_nothing_changes_its_type_and_nothing_its_input() -> None:
    mixed = pd.Series([True, "auto", 1, pd.NA], dtype=object)
    assert [type(value) for value in first_known(mixed, 0.5)] == [bool, str, int, float]
    assert mixed.isna().tolist() == [False, False, False, True]


def test_a_column_without_rows() -> None:
    assert first_known(pd.Series(dtype=float), "x").empty
