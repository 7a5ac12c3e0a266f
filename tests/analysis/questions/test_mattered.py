"""What mattered, on searches whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.figures.parallel import _heights, plot_parallel
from analysis.figures.style import new_figure
from analysis.options import ReportOptions
from analysis.questions.mattered import points_of, telling_arms
from analysis.sections import mattered
from analysis.statistics.importance import FEWEST, are_numbers, importances, is_logarithmic
from tests.analysis.synthetic import Sweep


def space(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "rate": 10 ** rng.uniform(-4, 0, n),
            "width": rng.choice([16, 32, 64], n),
            "optimizer": rng.choice(["sgd", "adam"], n),
        }
    )


def test_the_one_key_that_decides_is_found_and_beyond_chance() -> None:
    points = space(40)
    scores = -np.abs(np.log10(points["rate"].to_numpy()) + 2)
    found = importances(points, scores).set_index("axis")
    assert found["importance"].idxmax() == "rate"
    assert found.at["rate", "importance"] > 0.6
    assert found.at["rate", "chance"] == pytest.approx(1 / 20)
    assert found["importance"].sum() == pytest.approx(1)


def test_a_category_that_decides_is_found() -> None:
    points = space(40)
    scores = (points["optimizer"] == "adam").to_numpy(dtype=float) + 0.01 * np.arange(40) / 40
    assert importances(points, scores)["axis"].iloc[0] == "optimizer"


def test_scores_by_chance_name_nothing() -> None:
    named = 0
    for seed in range(3):
        scores = np.random.default_rng(100 + seed).normal(size=16)
        named += int((importances(space(16, seed), scores)["chance"] <= 0.05).sum())
    assert named <= 2  # of nine, at one in twenty each


@pytest.mark.parametrize(
    ("n", "keys", "spread"), [(FEWEST - 1, 3, 1.0), (FEWEST, 1, 1.0), (FEWEST, 3, 0.0)]
)
def test_too_little_says_nothing(n: int, keys: int, spread: float) -> None:
    points = space(n).iloc[:, :keys]
    assert importances(points, spread * np.arange(n)).empty


GRID = [{"rate": 10.0**-i, "width": w} for i in range(4) for w in (8, 16, 32, 64)]


def written(folder: Path, grid: list[dict[str, Any]]) -> Any:
    return analysis.load(Sweep(grid=grid, seeds=(0, 1)).write(folder))


def test_full_training_and_a_replay_are_asked_on_mean_values(tmp_path: Path) -> None:
    results = written(tmp_path, GRID)
    assert telling_arms(results) == ["full", "cached"]
    points = points_of(results, "full")
    assert list(points.columns) == ["configuration", "val", "rate", "width"]
    assert len(points) == len(GRID)
    own = results.search[(results.search["arm"] == "full")]
    means = own.groupby("configuration")["val"].mean()
    np.testing.assert_allclose(points["val"], means)
    section = mattered.section(results, ReportOptions())
    assert section is not None
    assert "rate" in section.paragraphs[0]  # better configurations come later in the grid
    assert {item.name for item in section.items} == {"mattered", "parallel_coordinates"}


def test_few_configurations_are_said_to_be_too_few(tmp_path: Path) -> None:
    section = mattered.section(written(tmp_path, GRID[:6]), ReportOptions())
    assert section is not None
    assert "cannot be told from 6 configurations" in section.paragraphs[0]


def test_lines_run_through_the_values_and_the_best_stand_out() -> None:
    frame = space(8).assign(val=np.arange(8.0))
    ax = plot_parallel(
        frame, new_figure().subplots(), keys=["rate", "width", "optimizer"], sign=-1.0
    )
    lines = [line for line in ax.lines if len(line.get_xdata()) == 4]
    coloured = [line for line in lines if line.get_zorder() == 3]
    assert len(lines) == 8
    # The best two of eight where less is better: the metric's axis begins with them.
    assert sorted(line.get_ydata()[-1] for line in coloured) == pytest.approx([0, 1 / 7])
    np.testing.assert_allclose(_heights(pd.Series([0.001, 0.1, 10.0])), [0, 0.5, 1])
    np.testing.assert_allclose(_heights(pd.Series(["b", "a", "c"])), [0.5, 0, 1])


def test_where_nothing_varies_nothing_has_a_share() -> None:
    points = pd.DataFrame({"rate": [0.1] * 20, "optimizer": ["sgd"] * 20})
    found = importances(points, np.random.default_rng(0).random(20))
    assert sorted(found["axis"]) == ["optimizer", "rate"]
    assert found["importance"].isna().all()


def test_twelve_configurations_are_the_fewest_whose_best_quarter_is_three() -> None:
    points, scores = space(12), np.arange(12.0)
    assert len(importances(points, scores)) == 3
    assert importances(points[:11], scores[:11]).empty


def test_a_range_of_twenty_times_is_read_by_its_logarithm() -> None:
    assert is_logarithmic(pd.Series([1.0, 20.0]))
    assert not is_logarithmic(pd.Series([1.0, 19.9]))
    assert not is_logarithmic(pd.Series([0.0, 100.0]))


@pytest.mark.parametrize(
    ("values", "numbers", "logarithmic"),
    [
        ([1, 20], True, True),
        ([1.0, 19.9], True, False),
        ([0.001, 0.02], True, True),
        ([0.0, 5.0], True, False),
        ([-20.0, -1.0], True, False),
        ([np.int64(1), np.float32(40)], True, True),
        ([True, False], False, None),
        ([1.0, math.nan], False, None),
        ([1.0, math.inf], False, None),
        ([1, "a"], False, None),
    ],
)
def test_how_a_keys_values_are_read(
    values: list[Any], numbers: bool, logarithmic: bool | None
) -> None:
    column = pd.Series(values, dtype=object)
    assert are_numbers(column) is numbers
    if numbers:
        assert is_logarithmic(column) is logarithmic
