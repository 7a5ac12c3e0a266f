"""A ladder of replays on real digits, killed on its way up and resumed."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tune_select.command_line import Sweep
from tests.tune_select.tracking.state import mlflow_warnings
from tune_select.history import SubsetHistory

pytestmark = [mlflow_warnings, pytest.mark.slow, pytest.mark.timeout(1800)]

# Synchronous: who goes up then hangs on no clock, so that both runs must come to the same end.
LADDER: dict[str, Any] = {
    "space": {"learning_rate": [0.001, 0.005, 0.01, 0.02, 0.05, 0.1]},
    "arms": ["cached", "gradmatch", "random_pb", "full"],
    "tune": {
        "max_failures": 2,
        "ladder": {
            "fractions": [0.1, 0.3],
            "keep": 2,
            "confirm": 1,
            "train_on": "cached",
            "asynchronous": False,
        },
    },
}


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="l", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def answer(sweep: Sweep) -> tuple[int, str]:
    """What the ladder chose, and what it came to."""
    row = pd.read_parquet(sweep.results / "strategies.parquet").iloc[0]
    return int(row["chosen_configuration"]), f"{row['test_accuracy']:.6f}"


@pytest.mark.parametrize("rung", ["seed", "10%", "30%", "full"])
def test_a_ladder_killed_on_any_rung_comes_to_the_same_answer(
    folder: Path, rung: str, undisturbed: Sweep
) -> None:
    sweep = Sweep(folder, keys=LADDER, tracking=False, epoch_s=0.3)
    driver = sweep.start()
    sweep.wait_for(lambda: len(sweep.epochs(rung)) >= 2, driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(3)  # what the driver had started notices, and ends
    sweep.resume()
    trials = pd.read_parquet(sweep.results / "trials.parquet")
    assert set(trials["status"]) == {"finished"}, sweep.output()
    assert not trials.duplicated(["configuration", "rung", "seed"]).any()
    assert SubsetHistory.load(sweep.results / "history" / "seed").identity.fractions == (0.1, 0.3)
    pd.testing.assert_frame_equal(sweep.metrics(), undisturbed.metrics())
    assert answer(sweep) == answer(undisturbed)


def test_a_warm_ladder_begins_with_the_same_weights_after_a_kill(
    folder: Path, tmp_path: Path
) -> None:
    climb = {**LADDER["tune"]["ladder"], "train_on": "random", "warm": True}
    keys = {**LADDER, "space": {"learning_rate": [0.001, 0.01, 0.05]}}
    keys["tune"] = {**LADDER["tune"], "ladder": climb}
    whole = Sweep(tmp_path / "whole", keys=keys, tracking=False)
    whole.run()
    killed = Sweep(folder, keys=keys, tracking=False, epoch_s=0.3)
    driver = killed.start()
    killed.wait_for(lambda: len(killed.epochs("30%")) >= 2, driver)
    assert list((killed.results / "weights").iterdir())
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(3)
    killed.resume()
    pd.testing.assert_frame_equal(killed.metrics(), whole.metrics())
    assert answer(killed) == answer(whole)
    assert not (whole.results / "weights").exists()
    # Whoever went up did not begin afresh: its first epoch is ahead of where it began below.
    trials = pd.read_parquet(whole.results / "trials.parquet").set_index("trial_id")
    epochs = pd.read_parquet(whole.results / "epochs.parquet")
    first = epochs[epochs["epoch"] == 1].set_index("trial_id")["train_loss"]
    for trial, below in trials.loc[trials["rung"] > 0, "promoted_from"].items():
        assert first[trial] < first[below]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), keys=LADDER, tracking=False)
    sweep.run()
    trials = pd.read_parquet(sweep.results / "trials.parquet")
    assert trials["arm"].value_counts().to_dict() == {"10%": 6, "30%": 3, "seed": 1, "full": 1}
    return sweep
