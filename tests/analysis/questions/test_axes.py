from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from analysis import load, write_report
from analysis.figures.lines import plot_axis
from analysis.questions.axes import axis_frame, independent_axes, ordered
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import write_frames


def two_seeds(folder: Path) -> Path:
    """The hand sweep, and all of it again with seed 1 and a test accuracy lower by 0.1."""
    folder = write_hand_sweep(folder)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    again, repeated = trials.assign(seed=1), epochs.copy()
    for frame in (again, repeated):
        frame["trial_id"] += "-again"
        frame["test_accuracy"] -= 0.1
    trials = pd.concat([trials, again], ignore_index=True)
    epochs = pd.concat([epochs, repeated], ignore_index=True)
    # Epochs follow from the rate, as where a schedule is stretched.
    trials["config/max_epochs"] = trials["config/learning_rate"].map({0.01: 5, 0.1: 4})
    write_frames(folder, trials, epochs)
    return folder


def test_means_and_ranges_over_seeds_by_hand(tmp_path: Path) -> None:
    results = load(two_seeds(tmp_path))
    frame = axis_frame(results, "learning_rate").set_index(["arm", "value"])
    full = frame.loc[("full", "0.01")]
    assert (full["low"], full["test"], full["high"]) == pytest.approx((0.7, 0.75, 0.8))
    assert frame.at[("gradmatch", "0.1"), "test"] == pytest.approx(0.85)
    # The rate 0.1 diverged with random batches: named, not averaged.
    lost = frame.loc[("random_pb", "0.1")]
    assert (lost["trials"], lost["missing"]) == (0, 2)
    assert pd.isna(lost["test"])
    assert "seed" not in frame.index.get_level_values(0)


def test_an_axis_that_follows_from_another_is_left_out(tmp_path: Path) -> None:
    folder = two_seeds(tmp_path)
    (folder / "sweep.yaml").write_text("name: stretched\nspace: module.function\n")
    results = load(folder)
    assert set(results.axes) == {"learning_rate", "max_epochs"}
    assert len(independent_axes(results)) == 1


def test_numbers_are_ordered_by_size_and_names_as_they_come() -> None:
    assert ordered(["0.1", "0.02", "1e-3"]) == ["1e-3", "0.02", "0.1"]
    assert ordered(["sgd", "adam"]) == ["sgd", "adam"]


def test_the_report_shows_every_axis(tmp_path: Path) -> None:
    folder = two_seeds(tmp_path)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Test accuracy by learning_rate" in page
    assert "0 of 2 trials" in page
    assert "70.00 to 80.00" in page
    ax = plot_axis(axis_frame(load(folder), "learning_rate"), axis="learning_rate")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.01", "0.1"]
    plt.close("all")
