import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis import load, write_report
from analysis.figures.points import plot_schedules
from analysis.questions.methods.metric_parts import metric_parts, parts_table
from analysis.questions.methods.schedules import (
    epoch_time_difference,
    epoch_time_table,
    schedule_points,
)
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import write_frames


def test_t_diff_is_equation_3() -> None:
    # Epochs of 10 s, but 7 s while selecting: from half to nine tenths of ten epochs.
    each = np.array([10, 10, 10, 10, 10, 7, 7, 7, 7, 10.0])
    assert epoch_time_difference(np.cumsum(each), 0.5, 0.9) == pytest.approx(3.0)
    assert math.isnan(epoch_time_difference(np.cumsum(each), 0.0, 1.0))
    # A run that was cut short still selects from the planned epoch on.
    assert epoch_time_difference(np.cumsum(each[:7]), 0.5, 0.9, max_epochs=10) == pytest.approx(3.0)


def test_schedules_are_found_where_the_configuration_has_them(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    assert epoch_time_table(load(folder)).empty
    mine = trials["arm"] == "gradmatch"
    trials.loc[mine, "config/selection/settings/gradmatch/start"] = 0.5
    trials.loc[mine, "config/arms/gradmatch/settings/gradmatch/interrupt"] = 2
    slower = (epochs["arm"] == "gradmatch") & (epochs["epoch"] <= 2)
    epochs.loc[slower, "train_s"] *= 3  # 3 s for the first two epochs, then fewer
    epochs.loc[(epochs["arm"] == "gradmatch") & (epochs["epoch"] > 2), "train_s"] += 4
    write_frames(folder, trials, epochs)
    table = epoch_time_table(load(folder))
    assert table["arm"].tolist() == ["gradmatch", "gradmatch"]
    assert table["t_diff_s"].tolist() == pytest.approx([2.0, 2.0])
    assert (table["start"].iloc[0], table["end"].iloc[0]) == (0.5, 1.0)
    assert table["interrupt"].iloc[0] == 2


def write_scheduled(folder: Path, **schedules: tuple[float, float, float]) -> Path:
    """The hand sweep, where some arms select only in a part of the run."""
    folder = write_hand_sweep(folder)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    for arm, values in schedules.items():
        place = f"config/selection/settings/{arm}"
        mine = trials["arm"] == arm
        for name, value in zip(("start", "end", "interrupt"), values, strict=True):
            trials.loc[mine, f"{place}/{name}"] = value
    # Parts of the metric as a detector reports them: no small objects, and half of the whole.
    epochs = epochs.assign(
        test_accuracy_small=-1.0, test_accuracy_large=epochs["test_accuracy"] / 2
    )
    write_frames(folder, trials, epochs)
    return folder


def test_a_schedule_saves_time_and_loses_accuracy(tmp_path: Path) -> None:
    folder = write_scheduled(tmp_path, gradmatch=(0.5, 0.9, 2), cached=(0.25, 0.75, 3))
    points = schedule_points(load(folder)).set_index(["arm", "configuration"])
    # Four epochs of 1.5 s or 1 s against 10 s; full ends at 0.80 and 0.90.
    assert points.at[("gradmatch", 0), "saved"] == pytest.approx(1 - 6 / 40)
    assert points.at[("cached", 1), "saved"] == pytest.approx(1 - 4 / 40)
    lost = points["lost"]
    assert lost[("gradmatch", 0)] == pytest.approx(0.8 - 0.7)
    assert lost[("gradmatch", 1)] == pytest.approx(0.0)
    assert lost[("cached", 0)] == pytest.approx(0.8 - 0.68)
    # cached saves most and loses 0.1 in configuration 1; gradmatch loses nothing there.
    assert set(points.index[points["pareto"]]) == {("cached", 1), ("gradmatch", 1)}
    assert math.isnan(points.at[("cached", 0), "lost_sd"])  # a single seed


def test_every_schedule_is_drawn_with_its_label(tmp_path: Path) -> None:
    folder = write_scheduled(tmp_path, gradmatch=(0.5, 0.9, 2), cached=(0.25, 0.75, 3))
    points = schedule_points(load(folder)).assign(family="one")
    ax = plot_schedules(points, scale=100.0, unit="pp")
    labels = {text.get_text() for text in ax.texts}
    assert labels == {"50\N{EN DASH}90 / 2", "25\N{EN DASH}75 / 3"}
    assert "pp" in ax.get_ylabel()
    plt.close("all")


def test_table_4_by_hand(tmp_path: Path) -> None:
    results = load(write_scheduled(tmp_path, gradmatch=(0.5, 0.9, 2)))
    assert metric_parts(results) == {
        "test_accuracy": "accuracy",
        "test_accuracy_large": "accuracy large",
    }
    table = parts_table(results).set_index("arm")
    assert table.at["gradmatch", "test_accuracy"] == pytest.approx((0.7 + 0.9) / 2)
    assert table.at["gradmatch", "test_accuracy_large"] == pytest.approx((0.7 + 0.9) / 4)
    assert table.at["gradmatch", "seconds"] == pytest.approx(6.0)
    assert table.at["gradmatch", "t_diff_s"] == pytest.approx(0.0)
    assert math.isnan(table.at["full", "t_diff_s"])
    assert table["trials"].to_dict() == {
        "seed": 1, "cached": 2, "gradmatch": 2, "random_pb": 1, "full": 2
    }  # fmt: skip


def test_the_report_shows_schedules_and_parts_only_where_there_are_some(tmp_path: Path) -> None:
    plain = write_report(write_hand_sweep(tmp_path / "plain")).read_text(encoding="utf-8")
    assert "Selection inside the mini-batch" not in plain
    assert "The metric by part" not in plain
    folder = write_scheduled(tmp_path / "own", gradmatch=(0.5, 0.9, 2), cached=(0.25, 0.75, 3))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Time saved and metric lost, by schedule" in page
    assert "accuracy large (%)" in page
    assert (folder / "figures" / "schedules.svg").exists()
    assert len(pd.read_csv(folder / "tables" / "epoch_times.csv")) == 2
    assert len(pd.read_csv(folder / "tables" / "metric_parts.csv")) == 5
