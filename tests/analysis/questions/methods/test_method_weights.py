from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis import load, write_report
from analysis.figures.lines import plot_method_weights
from analysis.questions.methods.method_weights import FILE, load_traces, mean_weights
from tests.analysis.hand_sweep import write_hand_sweep


def write_trace(folder: Path, trial: str, weights: list[float]) -> None:
    """Two selections an epoch; the second method has what the first has not."""
    own = folder / f"Trainable_{trial}_1_lr=0.1"
    own.mkdir()
    place = np.arange(len(weights))
    pd.DataFrame(
        {
            "epoch": place // 2 + 1,
            "iteration": place % 2,
            "method_weight_big_loss": weights,
            "method_weight_uniform": 1 - np.array(weights),
            "other": 7.0,
        }
    ).sample(frac=1, random_state=0).to_parquet(own / FILE)  # rows in any order


def test_weights_are_in_the_order_of_the_selections(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    write_trace(folder, "gradmatch-0", [0.5, 0.6, 0.7, 0.8])
    broken = folder / "search" / "other"
    broken.mkdir(parents=True)
    (broken / FILE).write_text("not parquet")
    traces, problems = load_traces(load(folder))
    assert len(problems) == 1
    assert "search/other" in problems[0]
    own = traces[traces["method"] == "big_loss"]
    assert own["weight"].tolist() == [0.5, 0.6, 0.7, 0.8]
    assert own["step"].tolist() == [0, 1, 2, 3]
    assert set(traces["method"]) == {"big_loss", "uniform"}
    assert set(traces["arm"]) == {"gradmatch"}


def test_means_and_ranges_over_seeds_and_thinning() -> None:
    steps = np.arange(95)
    traces = pd.concat(
        pd.DataFrame(
            {"arm": "a", "configuration": 0, "seed": seed, "step": steps, "method": "uniform",
             "weight": steps / 100 + 0.1 * seed}
        )
        for seed in (0, 1)
    )  # fmt: skip
    frame = mean_weights(traces, points=10)
    assert len(frame) == 10
    assert frame["step"].iloc[-1] == 94
    last = frame.iloc[-1]
    assert (last["low"], last["weight"], last["high"]) == pytest.approx((0.94, 0.99, 1.04))
    ax = plot_method_weights(frame)
    assert len(ax.lines) == 1
    plt.close("all")


def test_the_report_draws_the_vote(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    write_trace(folder, "gradmatch-0", [0.5, 0.6])
    write_trace(folder, "gradmatch-1", [0.5, 0.3])
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Method weights: GradMatch, learning_rate = 0.1" in page
    figure = pd.read_csv(folder / "figures" / "method_weights_gradmatch_1.csv")
    assert figure.groupby("method")["weight"].last().to_dict() == {"big_loss": 0.3, "uniform": 0.7}
