import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import ReportOptions, build_report, load
from analysis.questions.ladder.views import example_share, view_table
from tests.analysis.synthetic import ARMS, Arm, Sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ranking by loss is right, by accuracy noisy; one calibrated loss is upside down."""
    arms = {"cached": Arm(0.03, 0.1), "random_pb": Arm(0.05, 0.0), "full": ARMS["full"]}
    folder = Sweep(arms=arms, noise=0.0, generator_seed=4, promote=False).write(
        tmp_path_factory.mktemp("views")
    )
    epochs = pd.read_parquet(folder / "epochs.parquet")
    number = epochs["trial_id"].map(
        pd.read_parquet(folder / "trials.parquet").set_index("trial_id")["configuration"]
    )
    epochs["val_loss"] = 2.0 - 0.1 * number
    epochs["val_calibrated_loss"] = np.where(epochs["arm"] == "cached", number, -number)
    epochs["examples_seen"] = epochs["epoch"] * np.where(epochs["arm"] == "full", 1000, 30)
    epochs.to_parquet(folder / "epochs.parquet")
    return folder


def test_tau_by_each_score_is_that_of_the_orders(folder: Path) -> None:
    results = load(folder)
    table = view_table(results, resamples=100).set_index("arm")
    means = results.search.groupby(["arm", "configuration"])["val"].mean()
    expected = stats.kendalltau(means["cached"], means["full"]).statistic
    assert table.at["cached", "tau_metric"] == pytest.approx(expected)
    assert expected < 1.0
    assert table.at["random_pb", "tau_metric"] == 1.0
    assert table["tau_loss"].tolist() == [1.0, 1.0]
    assert table.at["cached", "tau_calibrated"] == -1.0
    assert table.at["random_pb", "tau_calibrated"] == 1.0
    low, high = table.loc["cached", ["tau_metric_low", "tau_metric_high"]]
    assert low <= expected <= high
    assert set(table["configurations"]) == {6}


def test_the_share_is_of_the_examples_trained_on(folder: Path) -> None:
    results = load(folder)
    assert example_share(results, "cached") == pytest.approx(0.03)
    bare = folder.parent / "bare"
    Sweep(arms={"cached": ARMS["cached"], "full": ARMS["full"]}, promote=False).write(bare)
    epochs = pd.read_parquet(bare / "epochs.parquet").drop(columns=["examples_seen", "val_loss"])
    epochs.to_parquet(bare / "epochs.parquet")
    table = view_table(load(bare), resamples=100)
    assert math.isnan(table["share"].iloc[0])
    assert math.isnan(table["tau_loss"].iloc[0])
    assert table["tau_calibrated"].isna().all()


def test_the_report_has_a_row_per_view_and_none_without_full_training(folder: Path) -> None:
    report = build_report(load(folder), ReportOptions(resamples=100))
    (section,) = (section for section in report.sections if section.id == "views")
    (table,) = section.items
    assert [column.title for column in table.columns][2:5] == [  # type: ignore[union-attr]
        "Kendall's tau by accuracy",
        "Kendall's tau by loss",
        "Kendall's tau by calibrated loss",
    ]
    without = Sweep(arms={"cached": ARMS["cached"]}, promote=False).write(folder.parent / "none")
    assert view_table(load(without)).empty
