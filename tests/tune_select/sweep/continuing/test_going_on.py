"""Real sweeps that go on from real ones, by the command line."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tune_select.sweep.test_run import command, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

ARMS = ["cached", "full"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished sweep of two configurations."""
    folder = tmp_path_factory.mktemp("more")
    run = command("run", write(folder, name="a", arms=ARMS), cwd=folder)
    assert run.returncode == 0, run.stderr[-4000:]
    return folder


def trials_of(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "results" / name / "trials.parquet")


def test_optuna_goes_on_from_a_grid_and_learns_from_it(first: Path) -> None:
    tune: dict[str, Any] = {"searcher": "optuna"}
    space = {"learning_rate": {"loguniform": [0.02, 0.2]}}
    sweep = write(first, name="b", arms=ARMS, space=space, tune=tune)
    run = command("run", sweep, "--more", 2, "--from", "results/a", cwd=first)
    assert run.returncode == 0, run.stderr[-4000:]
    said = " ".join(run.stdout.split())
    assert "2 configurations trained before, then 2 more" in said
    assert "space.learning_rate was [0.01, 0.05] and is now loguniform (0.02, 0.2)" in said
    assert "1 of 2 earlier configurations lie outside" in said

    old, joint = trials_of(first, "a"), trials_of(first, "b")
    assert joint["trial_id"].is_unique
    assert len(joint[joint["from_sweep"] == "a"]) == len(old)
    new = joint[joint["from_sweep"].isna()]
    assert "seed" not in set(new["arm"])
    search = joint[(joint["phase"] == "search") & (joint["arm"] != "seed")]
    assert search.groupby("configuration")["config/learning_rate"].nunique().eq(1).all()
    assert search.groupby("arm")["configuration"].nunique().to_dict() == {"cached": 4, "full": 4}
    assert set(new["status"]) == {"finished"}
    assert set(new.loc[new["arm"] == "cached", "history"]) == {"seed"}
    results = first / "results" / "b"
    assert (results / "report.html").exists()
    assert len(pd.read_json(results / "runs.json")) == 2
    epochs = pd.read_parquet(results / "epochs.parquet")
    assert set(epochs["trial_id"]) == set(joint["trial_id"])
    # What the first sweep has promoted is not trained on everything a second time.
    promoted = joint[joint["phase"] == "promotion"]
    assert promoted["configuration"].is_unique


def test_a_sweep_goes_on_under_the_next_name_until_its_grid_is_through(first: Path) -> None:
    arguments = ("run", "--more", 9, "--from", "results/a", "-o")
    run = command(*arguments, "space.learning_rate=[0.01, 0.05, 0.1]", cwd=first)
    assert run.returncode == 0, run.stderr[-4000:]
    joint = trials_of(first, "a-2")
    new = joint[joint["from_sweep"].isna() & (joint["phase"] == "search")]
    assert new["config/learning_rate"].tolist() == [0.1, 0.1]
    with sqlite3.connect(first / "results" / "a-2" / "mlflow.db") as database:
        (count,) = database.execute("select count(*) from runs").fetchone()
    assert count >= len(new)
    again = command("run", "--more", 1, "--from", "results/a-2", cwd=first)
    assert again.returncode == 2
    assert "all 3 configurations that space lists have been trained" in again.stderr


LONGER = {"model": "small_cnn", "learning_rate": 0.02, "batch_size": 8, "max_epochs": 40}


def _interruptible() -> None:
    """What runs in the background of a shell begins with Ctrl-C ignored, and so would the sweep."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_two_sweeps_are_gone_on_with_and_what_was_interrupted_is_resumed(tmp_path: Path) -> None:
    # One slot and a report per epoch: of the third sweep's two replays one has not begun when the
    # other is first heard of.
    keys: dict[str, Any] = {
        "arms": ["cached"], "promote": 0, "train": LONGER, "tracking": False,
        "selection": {"fraction": 0.1, "select_every": 20},
        "tune": {"report_every_s": 0}, "cluster": {"num_cpus": 1},
    }  # fmt: skip
    for name, rate in (("one", 0.01), ("two", 0.05)):
        sweep = write(tmp_path, name=name, space={"learning_rate": [rate]}, **keys)
        run = command("run", sweep, cwd=tmp_path)
        assert run.returncode == 0, run.stderr[-4000:]

    write(tmp_path, name="three", space={"learning_rate": [0.01, 0.02, 0.03, 0.05]}, **keys)
    arguments = ("--more", "2", "--from", "results/one", "--from", "results/two")
    three = tmp_path / "results" / "three"
    with (tmp_path / "output").open("wb") as output:
        driver = subprocess.Popen(
            [sys.executable, "-m", "tune_select", "run", "sweep.yaml", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,  # a terminal's Ctrl-C goes to all of its processes
            preexec_fn=_interruptible,
        )
        while driver.poll() is None and not list(three.glob("*arm=cached*/result.json")):
            time.sleep(0.1)
        os.killpg(driver.pid, signal.SIGINT)
        assert driver.wait(120) == 130, (tmp_path / "output").read_text()[-4000:]
    begun = set(trials_of(tmp_path, "three")["trial_id"])
    resumed = command("run", "--resume", three, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr[-4000:]

    joint = trials_of(tmp_path, "three")
    assert set(joint["status"]) == {"finished"}
    assert begun <= set(joint["trial_id"])
    replays = joint[joint["arm"] == "cached"].sort_values("config/learning_rate")
    assert replays["config/learning_rate"].tolist() == [0.01, 0.02, 0.03, 0.05]
    assert replays["from_sweep"].fillna("").tolist() == ["one", "", "", "two"]
    assert replays["configuration"].is_unique
    epochs = pd.read_parquet(three / "epochs.parquet")
    counted = epochs.groupby("trial_id")["epoch"].agg(["count", "max"])
    assert counted.eq(LONGER["max_epochs"]).all(axis=None)


def test_a_sweep_that_trains_otherwise_is_refused(first: Path) -> None:
    sweep = write(first, name="c", arms=ARMS, selection={"fraction": 0.2, "select_every": 2})
    run = command("run", sweep, "--more", 1, "--from", "results/a", cwd=first)
    assert run.returncode == 2
    assert "selection.fraction is 0.2, and was 0.1" in run.stderr
