"""A difference that turns round along an axis, on numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from analysis import ReportOptions, load
from analysis.questions.summary import summary
from analysis.questions.turns import turn_of
from analysis.results.load import Results
from analysis.sections import overview
from tests.analysis.synthetic import Arm, Sweep, write_frames

SEEDS = (0, 1, 2)


def swept(folder: Path, gaps: Mapping[float, tuple[float, float, float]]) -> Results:
    """``big_loss`` minus ``uniform`` by fraction and seed; each fraction at two rates."""
    arms = {"uniform": Arm(), "big_loss": Arm(), "full": Arm()}
    grid = [{"selection/fraction": f, "learning_rate": r} for f in gaps for r in (0.1, 0.2)]
    Sweep(arms=arms, grid=grid, seeds=SEEDS, promote=False, noise=0.0).write(folder)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    fractions = trials["config/selection/fraction"]
    own = trials["arm"] == "big_loss"
    for f, by_seed in gaps.items():
        for seed, gap in zip(SEEDS, by_seed, strict=True):
            ids = trials.loc[own & (fractions == f) & (trials["seed"] == seed), "trial_id"]
            for frame in (trials, epochs):
                tests = [c for c in frame if "test_accuracy" in c]
                frame.loc[frame["trial_id"].isin(ids), tests] += gap
    write_frames(folder, trials, epochs)
    return load(folder)


def test_where_an_arm_is_better_and_where_worse(tmp_path: Path) -> None:
    gaps = {0.1: (-0.02, -0.04, -0.03), 0.2: (0.01, -0.01, 0.02), 0.3: (0.01, 0.02, 0.015)}
    results = swept(tmp_path, gaps)
    turn = turn_of(results, "big_loss", "uniform")
    assert turn is not None
    assert turn.axis == "fraction"
    assert turn.better == {"0.3": pytest.approx(0.015)}
    assert turn.worse == {"0.1": pytest.approx(-0.03)}
    back = turn_of(results, "uniform", "big_loss")
    assert back is not None
    assert (list(back.better), list(back.worse)) == (["0.1"], ["0.3"])
    said = "+1.50 pp at fraction = 0.3, \N{MINUS SIGN}3.00 pp at 0.1, in every pair"
    assert turn.said(results) == said
    assert f"These means hide turns: Big Loss {said}." in summary(results)
    table = overview.section(results, ReportOptions(resamples=100)).items[-1]
    assert said in table.rows()[0][1].note
    assert any("by chance" in note for note in table.notes[1:])


def test_one_pair_that_disagrees_is_no_turn(tmp_path: Path) -> None:
    results = swept(tmp_path, {0.1: (-0.02, -0.04, 0.01), 0.3: (0.01, 0.02, 0.015)})
    assert turn_of(results, "big_loss", "uniform") is None
    assert not any("turn" in said for said in summary(results))
    table = overview.section(results, ReportOptions(resamples=100)).items[-1]
    assert table.rows()[0][1].note == ""


def test_two_pairs_a_value_are_too_few_and_an_arm_that_did_not_run_has_none(tmp_path: Path) -> None:
    results = swept(tmp_path, {0.1: (-0.02, -0.04, -0.03), 0.3: (0.01, 0.02, 0.015)})
    trials = results.trials[
        (results.trials["seed"] != 2) & (results.trials["config/learning_rate"] == 0.1)
    ]
    few = Results(**{**results.__dict__, "trials": trials})
    assert turn_of(few, "big_loss", "uniform") is None
    assert turn_of(results, "big_loss", "random_pb") is None
