"""A real search that ends because nothing is left to gain."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.tune_select.sweep.test_run import command, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

PLANNED = 60


def test_configurations_that_are_all_alike_are_not_all_tried(tmp_path: Path) -> None:
    sweep = write(
        tmp_path,
        name="alike",
        arms=["cached"],
        space={"learning_rate": {"uniform": [0.0200, 0.0201]}},
        tune={"searcher": "random", "num_samples": PLANNED, "stop_when": {"regret_pp": 20}},
    )
    run = command("run", sweep, cwd=tmp_path)
    assert run.returncode == 0, run.stderr[-4000:]
    results = tmp_path / "results" / "alike"
    trials = pd.read_parquet(results / "trials.parquet")
    assert set(trials["status"]) == {"finished"}  # what had begun was finished
    assert set(trials["phase"]) == {"search", "promotion"}
    (promoted,) = results.glob("promotion/*arm=full*")
    assert len(list(promoted.glob("checkpoint_*/trial.pt"))) == 1  # what all this was for
    replays = trials[trials["arm"] == "cached"]
    tried = replays["configuration"].nunique()
    assert 5 <= tried < PLANNED / 2
    left = PLANNED - tried
    report = re.sub(r"\s+", " ", (results / "report.html").read_text())
    said = re.search(
        rf"ended after {tried} of {PLANNED} configurations: the chance that the other {left} would "
        r"change its answer by over 20 pp was at most 5%\. At the mean of those tried that saved "
        r"(\d+) slot-seconds",
        report,
    )
    assert said is not None
    saved_s = replays["slot_s"].sum() / tried * left
    assert float(said[1]) == pytest.approx(saved_s, abs=0.5 + 0.01 * saved_s)
