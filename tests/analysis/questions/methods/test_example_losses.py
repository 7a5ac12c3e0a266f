"""Losses of single examples, on numbers worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from analysis import load, write_report
from analysis.figures.losses import plot_example_curves, plot_probabilities
from analysis.questions.methods.example_losses import (
    FILE,
    by_percentile,
    ends,
    example_losses,
    hardest,
    loss_quantiles,
    selection_probabilities,
    typical_examples,
)
from tests.analysis.hand_sweep import write_hand_sweep


def records(epoch: int, losses: list[float], split: str = "train") -> pd.DataFrame:
    """Examples of which the one with the largest loss is wrong."""
    worst = max(losses, default=0.0)
    return pd.DataFrame(
        {
            "epoch": np.int32(epoch),
            "split": split,
            "example": np.arange(len(losses), dtype=np.int32),
            "loss": np.array(losses, np.float32),
            "correct": [loss < worst for loss in losses],
        }
    )


def write_losses(folder: Path, trial: str, *frames: pd.DataFrame) -> None:
    own = folder / f"Trainable_{trial}_1_lr=0.1"
    own.mkdir(exist_ok=True)
    shuffled = pd.concat(frames).sample(frac=1, random_state=0)  # rows in any order
    shuffled.to_parquet(own / FILE)


def test_quantiles_are_losses_that_occur() -> None:
    frame = loss_quantiles(records(3, [4.0, 1.0, 2.0, 3.0]))
    at = frame.set_index(frame["share"].round(2))["loss"]
    assert set(frame["epoch"]) == {3}
    assert [at[s] for s in (0.0, 0.25, 0.26, 0.5, 0.75, 1.0)] == [1, 1, 2, 2, 3, 4]
    assert loss_quantiles(records(1, [])).empty


def test_confidence_and_accuracy_from_the_hardest_example_up() -> None:
    confidences = [0.9, 0.1, 0.5, 0.7]
    frame = by_percentile(records(1, [-math.log(c) for c in confidences], "test"))
    assert frame["percentile"].tolist() == [12.5, 37.5, 62.5, 87.5]
    assert frame["confidence"].tolist() == pytest.approx([0.1, 0.5, 0.7, 0.9])
    assert frame["accuracy"].tolist() == [0, 1, 1, 1]


def test_a_twentieth_at_a_time() -> None:
    """100 examples with confidences of 0.01 to 1, those up to 0.1 wrong."""
    confidence = np.arange(1, 101) / 100
    test = pd.DataFrame({"epoch": 1, "loss": -np.log(confidence), "correct": confidence > 0.1})
    frame = by_percentile(test.sample(frac=1, random_state=1))
    assert len(frame) == 20
    assert frame["confidence"].tolist() == pytest.approx(np.arange(0.03, 1.0, 0.05).tolist())
    assert frame["accuracy"].tolist() == [0, 0] + [1] * 18
    own = hardest(frame.assign(arm="full")).iloc[0]
    assert own["confidence"] == pytest.approx(confidence[:20].mean())
    assert own["accuracy"] == 0.5


def test_a_task_without_classes_has_no_confidence() -> None:
    assert by_percentile(records(1, [1.0, 2.0], "test").assign(correct=None)).empty


def test_probabilities_are_powers_of_the_rank() -> None:
    """At a share of 1/3, beta is 2; equal losses have the rank of the last of them."""
    train = pd.concat([records(1, [1.0, 2.0, 2.0, 4.0]), records(2, [8.0, 1.0, 2.0, 3.0])])
    table = selection_probabilities(train, 1 / 3)
    assert table[1].tolist() == pytest.approx([1 / 16, 9 / 16, 9 / 16, 1.0])
    assert table[2].tolist() == pytest.approx([1.0, 1 / 16, 4 / 16, 9 / 16])


def test_the_mean_probability_is_the_share() -> None:
    train = records(1, np.random.default_rng(0).gamma(1.0, size=5000).tolist())
    for share in (0.1, 0.33, 0.8):
        assert float(selection_probabilities(train, share)[1].mean()) == pytest.approx(
            share, rel=0.01
        )


def test_examples_are_taken_across_the_range() -> None:
    table = pd.DataFrame({1: np.arange(10) / 10, 2: np.arange(10) / 10}).rename_axis("example")
    table.columns.name = "epoch"
    long = typical_examples(table)
    assert long["example"].unique().tolist() == [1, 3, 5, 7, 9]
    assert long["epoch"].tolist() == [1, 2] * 5
    assert typical_examples(table.iloc[:2])["example"].nunique() == 2


def test_first_and_last_epoch() -> None:
    assert ends(pd.Series([5, 1, 3])) == [1, 5]
    assert ends(pd.Series([5])) == [5]
    assert ends(pd.Series([], dtype=float)) == []


def recorded_sweep(tmp_path: Path) -> Path:
    folder = write_hand_sweep(tmp_path)
    sweep = yaml.safe_load((folder / "sweep.yaml").read_text(encoding="utf-8"))
    sweep["selection"] = {"fraction": 0.5}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep), encoding="utf-8")
    for configuration in (0, 1):
        first, last = records(1, [2.0, 3.0, 4.0]), records(4, [2.0 + configuration, 1.0, 0.0])
        test = records(4, [0.0] * 9 + [math.log(2)], "test")
        write_losses(folder, f"full-{configuration}", first, last, test)
    return folder


def test_trials_of_an_arm_are_averaged(tmp_path: Path) -> None:
    folder = recorded_sweep(tmp_path)
    broken = folder / "search" / "other"
    broken.mkdir(parents=True)
    (broken / FILE).write_text("not parquet")
    found = example_losses(load(folder))
    assert len(found.problems) == 1
    top = found.losses[(found.losses["epoch"] == 4) & (found.losses["share"] == 1)].iloc[0]
    assert (top["low"], top["loss"], top["high"]) == (2.0, 2.5, 3.0)
    assert found.confidence["confidence"].tolist() == pytest.approx([0.5] + [1.0] * 9)
    assert found.confidence["accuracy"].tolist() == [0.0] + [1.0] * 9
    # At a share of a half, P is the rank: 1/3, 2/3, 1 and then 1, 2/3, 1/3.
    assert found.fluctuation["deviation"].tolist() == pytest.approx([2 / 9])
    assert set(found.probabilities["example"]) <= {0, 1, 2}


def test_the_report_draws_them(tmp_path: Path) -> None:
    folder = recorded_sweep(tmp_path)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "The losses of single examples" in page
    table = pd.read_csv(folder / "tables" / "example_losses.csv")
    assert table["epoch"].tolist() == [1, 4]
    assert table["median"].tolist() == [3.0, 1.0]
    assert table["accuracy"].tolist()[1] == 0.5
    for name in ("loss_distribution_1", "loss_distribution_4", "accuracy_by_percentile_4",
                 "confidence_by_percentile_4", "selection_probabilities_full"):  # fmt: skip
        assert (folder / "figures" / f"{name}.svg").exists(), name


def test_without_records_there_is_no_section(tmp_path: Path) -> None:
    page = write_report(write_hand_sweep(tmp_path)).read_text(encoding="utf-8")
    assert "The losses of single examples" not in page


def test_curves_are_drawn_per_arm() -> None:
    frame = pd.concat(loss_quantiles(records(1, [1.0, 2.0])).assign(arm=a) for a in ("full", "sb"))
    ax = plot_example_curves(frame, x="loss", y="share", x_label="Loss", y_label="Share")
    assert [line.get_xdata()[-1] for line in ax.lines] == [2.0, 2.0]
    long = pd.DataFrame({"example": [3, 3], "epoch": [1, 2], "probability": [0.2, 0.4]})
    ax = plot_probabilities(long)
    assert ax.lines[0].get_ydata().tolist() == [0.2, 0.4]
    plt.close("all")
