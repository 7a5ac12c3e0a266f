from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import write_report
from analysis.figures.maps import plot_parameters
from analysis.figures.style import new_figure
from analysis.questions.parameters import load_parameter_histograms, over_time, rebin
from tests.analysis.hand_sweep import write_hand_sweep


def test_rebinning_by_hand() -> None:
    # Two bins over [0, 2] with 3 and 1 entries, seen through bins of 0.5 over [-1, 3].
    edges = np.linspace(-1, 3, 9)
    found = rebin([3, 1], 0.0, 2.0, edges)
    assert found.tolist() == pytest.approx([0, 0, 0.375, 0.375, 0.125, 0.125, 0, 0])
    assert rebin([5, 0], 1.0, 1.0, edges).tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert rebin([0, 0], 0.0, 1.0, edges).sum() == 0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(sum), st.integers(1, 9))
def test_rebinning_keeps_every_entry(counts: list[int], bins: int) -> None:
    assert rebin(counts, -1.0, 4.0, np.linspace(-2, 5, bins + 1)).sum() == pytest.approx(1.0)
    same = rebin(counts, 0.0, 1.0, np.linspace(0, 1, len(counts) + 1))
    np.testing.assert_allclose(same, np.array(counts) / sum(counts), atol=1e-12)


def histogram_rows(epochs: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "epoch": range(1, epochs + 1),
            "layer": "head.weight",
            "low": [-0.1 * e for e in range(1, epochs + 1)],
            "high": [0.1 * e for e in range(1, epochs + 1)],
            "counts": [[1, 2, 1]] * epochs,
        }
    )


def test_a_layer_over_time_is_thinned_from_its_end() -> None:
    frame = over_time(histogram_rows(95), epochs=10)
    assert frame["epoch"].max() == 95
    assert frame["epoch"].nunique() <= 10
    assert frame.groupby("epoch")["share"].sum().to_numpy() == pytest.approx(1.0)
    ax = plot_parameters(frame, new_figure().subplots())
    assert ax.has_data()


def test_the_report_shows_what_trials_recorded(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trial = folder / "Trainable_full-0_1_lr=0.1"
    trial.mkdir()
    histogram_rows(4).to_parquet(trial / "histograms.parquet")
    broken = folder / "search" / "other"
    broken.mkdir(parents=True)
    (broken / "histograms.parquet").write_bytes(b"no")
    rows, problems = load_parameter_histograms(folder)
    assert len(rows) == 4
    assert len(problems) == 1
    text = write_report(folder, resamples=100).read_text(encoding="utf-8")
    assert "head.weight: full, trial full-0" in text
    assert "search/other/histograms.parquet could not be read" in text


def test_gradient_estimates_beside_the_sweep_are_drawn(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    errors = np.geomspace(0.1, 1.0, 20)
    rows = {"strategy": ["uniform", "big_loss"] * 10, "relative_squared_error": errors}
    pd.DataFrame(rows).to_csv(folder / "gradient_quality.csv", index=False)
    text = write_report(folder, resamples=100).read_text(encoding="utf-8")
    assert "Gradient estimates of mini-batch strategies" in text
    assert f"uniform {np.median(errors[::2]):.3g}" in text
    (folder / "gradient_quality.csv").write_text("a,b\n1,2\n")
    text = write_report(folder, resamples=100).read_text(encoding="utf-8")
    assert "gradient_quality.csv could not be read" in text
