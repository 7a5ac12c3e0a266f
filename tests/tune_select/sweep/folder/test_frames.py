"""Tables of settings that have no single type."""

import io

import numpy as np
import pandas as pd
import pytest

from tune_select.sweep.folder.frames import to_parquet


def read(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(to_parquet(frame)))


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (["auto", 1.0], ["auto", "1.0"]),
        ([0.5, "auto"], ["0.5", "auto"]),
        ([True, "on"], ["true", "on"]),
        ([[1, 2], "all"], ["[1, 2]", "all"]),
        ([{"a": 1}, 3], ['{"a": 1}', "3"]),
        ([[1], ["a"]], ["[1]", '["a"]']),
        ([10**30, "x"], [str(10**30), "x"]),
    ],
)
def test_a_setting_of_several_types_is_written_as_text(values, written):
    assert (
        read(pd.DataFrame({"config/x": pd.Series(values, dtype=object)}))["config/x"].tolist()
        == written
    )


def test_what_is_missing_stays_missing():
    frame = pd.DataFrame({"config/x": pd.Series(["auto", None, float("nan"), 2], dtype=object)})
    assert read(frame)["config/x"].isna().tolist() == [False, True, True, False]


def test_columns_of_one_type_stay_what_they_are():
    frame = pd.DataFrame(
        {
            "number": [1.5, np.nan],
            "text": ["a", None],
            "list": [[1, 2], [3]],
            "object": pd.Series([1, 2], dtype=object),
        }
    )
    back = read(frame)
    assert back["number"].dtype == float
    assert back["object"].tolist() == [1, 2]
    assert [list(v) for v in back["list"]] == [[1, 2], [3]]
    assert frame["object"].dtype == object  # the caller's frame is as it was
