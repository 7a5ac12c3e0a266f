"""Two tables that do not fit each other: what is left out is said, and nothing counts twice."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.report import build_report
from analysis.results.load import Results, from_frames
from tests.analysis.synthetic import ARMS, Sweep

SWEEP = Sweep(
    arms={name: ARMS[name] for name in ("cached", "full")},
    grid=[{"learning_rate": rate} for rate in (0.01, 0.1)],
    seeds=(0, 1), epochs=3, histories=0, promote=False,
)  # fmt: skip
FOLDER = Path("nowhere")


def loaded(trials: pd.DataFrame, epochs: pd.DataFrame) -> Results:
    return from_frames(FOLDER, trials, epochs)


def test_reports_of_trials_that_are_not_there_are_left_out() -> None:
    trials, epochs = SWEEP.frames()
    results = loaded(trials.iloc[1:], epochs)
    assert len(results.epochs) == len(epochs) - SWEEP.epochs
    assert any(f"{SWEEP.epochs} of {len(epochs)} reports are of trials" in n for n in results.notes)


def test_a_report_is_of_its_trials_arm() -> None:
    trials, epochs = SWEEP.frames()
    renamed = trials.assign(arm=trials["arm"].replace("cached", "mine"))
    results = loaded(renamed, epochs)
    assert set(results.epochs["arm"]) == {"mine", "full"}


def test_a_trial_that_stands_twice_counts_once() -> None:
    trials, epochs = SWEEP.frames()
    results = loaded(pd.concat([trials.assign(status="RUNNING"), trials]), epochs)
    assert len(results.trials) == len(trials)
    assert set(results.trials["outcome"]) == {"finished"}
    assert any(f"{len(trials)} trials stand more than once" in note for note in results.notes)


def test_a_column_of_times_beside_the_metrics_is_no_metric() -> None:
    trials, epochs = SWEEP.frames()
    times = pd.Series(pd.date_range("2026-01-01", periods=len(epochs), freq="s"))
    build_report(loaded(trials, epochs.assign(points_never_used=times, when=times)))
