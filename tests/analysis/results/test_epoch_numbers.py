"""Whatever a loop reports as its epoch, every report has a place, and no second has one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report import build_report
from analysis.results.epoch_numbers import numbered, without_waiting
from analysis.results.load import from_frames


def reports(*epochs: object, trials: int = 2) -> pd.DataFrame:
    rows = [{"trial_id": f"t{t}", "epoch": epoch} for t in range(trials) for epoch in epochs]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("written", "epochs", "said"),
    [
        ((1, 2, 3), [1, 2, 3], ""),
        ((5, 10, 15), [5, 10, 15], ""),
        ((1.0, 2.0, np.nan), [1, 2], ""),
        (("1", "2"), [1, 2], ""),
        ((0, 1, 2), [1, 2, 3], "reported from 0"),
        ((0.5, 1.0, 1.5), [1, 2, 3], "counts no whole epochs"),
        ((1.7e9, 1.7e9 + 60, 1.7e9 + 120), [1, 2, 3], "counts no whole epochs"),
        ((-1, 0, 1), [1, 2, 3], "counts no whole epochs"),
        ((50_000, 100_000), [1, 2], "counts no whole epochs"),
        ((0.5, 1.0, 1.0), [1, 2, 2], "counts no whole epochs"),  # reported again after a restart
        (("first", "second"), [1, 2], "No epoch was reported as a number"),
        ((True, True), [1, 1], ""),
        ((np.inf, 1, 2), [1, 2], ""),
    ],
)
def test_epochs_count_from_one(written: tuple[object, ...], epochs: list[int], said: str) -> None:
    found, told = numbered(reports(*written))
    assert found["epoch"].tolist() == epochs * 2
    assert said in told
    assert bool(said) == bool(told)


def test_a_look_before_training_is_no_epoch() -> None:
    frame = pd.DataFrame({"trial_id": ["a", "a", "b"], "epoch": [0, 1, 1]})
    found, told = numbered(frame)
    assert found["epoch"].tolist() == [1, 1]
    assert not told


def test_a_report_of_waiting_is_none_of_training() -> None:
    frame = reports(0, 1, trials=1).assign(waiting_for_interval=[0, None])
    assert without_waiting(frame)["epoch"].tolist() == [1]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8))
def test_any_numbers_come_out_as_few(written: list[float]) -> None:
    found, _ = numbered(reports(*written))
    assert found["epoch"].min() >= 1 if len(found) else True
    assert found["epoch"].max() <= 10_000 if len(found) else True


def test_a_report_of_epochs_that_are_times_fits_into_memory() -> None:
    rows = [
        {
            "trial_id": f"{arm}{c}",
            "arm": arm,
            "epoch": 1.7e9 + e,
            "val_accuracy": 0.1 * c + 0.01 * e,
        }
        for arm in ("full", "random")
        for c in range(4)
        for e in range(3)
    ]
    trials = [
        {"trial_id": f"{arm}{c}", "arm": arm, "configuration": c, "config/lr": 0.1 * c}
        for arm in ("full", "random")
        for c in range(4)
    ]
    results = from_frames(Path("nowhere"), pd.DataFrame(trials), pd.DataFrame(rows))
    assert results.epochs["epoch"].max() == 3
    assert any("counts no whole epochs" in note for note in build_report(results).warnings)
