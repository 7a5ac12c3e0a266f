"""Reports of sweeps that look at their splits now and then, and at the test split once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.figures.lines import learning_curves
from analysis.questions.ladder.views import view_table
from analysis.questions.methods.targets import pareto_points, time_to_targets
from analysis.results.outcomes import DIVERGED, FINISHED, STOPPED
from tests.analysis.synthetic import Sweep, write_frames


def thinned(folder: Path, *, stopped: bool = False, seed: int = 0) -> Path:
    """Trials that look after epochs of their own, and at the test split after the last."""
    sweep = Sweep()
    sweep.write(folder)
    trials, epochs = sweep.frames()
    rng = np.random.default_rng(seed)
    last = epochs["epoch"] == sweep.epochs
    looked = last | (epochs["epoch"] == 4) | (rng.random(len(epochs)) < 0.3)
    epochs.loc[~looked, ["val_loss", "val_accuracy"]] = np.nan
    epochs.loc[~last, ["test_loss", "test_accuracy"]] = np.nan
    if stopped:  # a scheduler ended some replays at a milestone, epoch 4
        ended = trials.loc[(trials["arm"] == "cached") & (trials["configuration"] < 3), "trial_id"]
        epochs = epochs[~(epochs["trial_id"].isin(ended) & (epochs["epoch"] > 4))]
        trials.loc[trials["trial_id"].isin(ended), "status"] = "stopped"
    write_frames(folder, trials, epochs.reset_index(drop=True))
    return folder


def test_a_trial_is_judged_by_its_last_epoch_whatever_was_looked_at(tmp_path: Path) -> None:
    whole = analysis.load(Sweep().write(tmp_path / "whole"))
    for seed in (0, 1):
        results = analysis.load(thinned(tmp_path / f"thin{seed}", seed=seed))
        expected = whole.epochs.groupby("trial_id").last()
        trials = results.trials.set_index("trial_id")
        pd.testing.assert_series_equal(
            trials["val"], expected["val"].reindex(trials.index), check_names=False
        )
        pd.testing.assert_series_equal(
            trials["test"], expected["test"].reindex(trials.index), check_names=False
        )
        assert set(trials["outcome"]) == {FINISHED}


def test_a_stopped_trial_without_a_test_value_is_no_divergence(tmp_path: Path) -> None:
    results = analysis.load(thinned(tmp_path, stopped=True))
    replays = results.search[results.search["arm"] == "cached"]
    early = replays[replays["configuration"] < 3]
    assert set(early["outcome"]) == {STOPPED}
    assert set(early["best_epoch"]) == {4}
    assert early["test"].isna().all()
    assert np.isfinite(early["val"]).all()
    assert set(replays.loc[replays["configuration"] >= 3, "outcome"]) == {FINISHED}


@pytest.mark.parametrize(("test", "outcome"), [("never", FINISHED), ("last", DIVERGED)])
def test_a_trial_that_was_not_to_be_tested_has_not_diverged(
    tmp_path: Path, test: str, outcome: str
) -> None:
    sweep = Sweep()
    sweep.write(tmp_path)
    trials, epochs = sweep.frames()
    untested = trials["arm"] == "random_pb"
    trials["config/evaluation/test"] = np.where(untested, test, "last")
    own = epochs["trial_id"].isin(trials.loc[untested, "trial_id"])
    epochs.loc[own, ["test_loss", "test_accuracy"]] = np.nan
    write_frames(tmp_path, trials, epochs)
    results = analysis.load(tmp_path)
    by_arm = results.search.groupby("arm")["outcome"].unique()
    assert list(by_arm["random_pb"]) == [outcome]
    assert list(by_arm["full"]) == [FINISHED]
    views = view_table(results, resamples=100).set_index("arm")
    assert np.isfinite(views.loc["random_pb", "tau_metric"]) == (test == "never")


@pytest.mark.parametrize("stopped", [False, True])
def test_the_whole_report_is_written(tmp_path: Path, stopped: bool) -> None:
    page = analysis.write_report(thinned(tmp_path, stopped=stopped)).read_text()
    assert "Validation accuracy against seconds" in page
    results = analysis.load(tmp_path)
    assert not results.tested_along
    assert time_to_targets(results).empty
    assert pareto_points(results).empty


def test_curves_join_a_trials_own_measurements() -> None:
    epochs = pd.DataFrame(
        {
            "trial_id": ["a"] * 5 + ["b"] * 5,
            "arm": "cached",
            "epoch": [1, 2, 3, 4, 5] * 2,
            "seconds": 1.0,
            "slot_s": 1.0,
            "test": [np.nan, 0.2, np.nan, 0.6, 0.8, 0.0, np.nan, np.nan, np.nan, 0.4],
        }
    )
    curve = learning_curves(epochs, ["a", "b"]).set_index("epoch")
    assert curve["test"].to_dict() == pytest.approx({2: 0.15, 3: 0.3, 4: 0.45, 5: 0.6})
