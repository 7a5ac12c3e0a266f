"""A sweep that is disturbed in every phase ends bit for bit as one that was left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tune_select.command_line import EPOCHS, Sweep
from tests.tune_select.tracking.state import mlflow_warnings, read_store

pytestmark = [mlflow_warnings, pytest.mark.timeout(1800)]

KEYS = {"promote": 1}


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[Sweep]:
    folder = Path(tempfile.mkdtemp(prefix="u", dir="/tmp"))
    sweep = Sweep(folder, keys=KEYS)
    sweep.run()
    yield sweep
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="g", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def ending_of(sweep: Sweep) -> Any:
    state = sweep.results / "sweep.state"
    return json.loads(state.read_text())["state"]["ending"] if state.exists() else None


def promoted(sweep: Sweep) -> int:
    return sweep.epochs("full").count(3)


PHASES: dict[str, tuple[signal.Signals, Callable[[Sweep], bool], int]] = {
    "seed": (signal.SIGINT, lambda sweep: 3 in sweep.epochs("seed"), 130),
    "replays": (signal.SIGTERM, lambda sweep: sweep.epochs("cached").count(EPOCHS) > 0, 143),
    "promotion": (signal.SIGINT, lambda sweep: promoted(sweep) > 0, 130),
    "report": (signal.SIGKILL, lambda sweep: ending_of(sweep) is not None, -9),
    # Outside of Tune's experiments, where the handlers at hand would be Ray's or the system's.
    "while Ray starts": (signal.SIGTERM, lambda sweep: "over learning" in sweep.output(), 143),
    "while the report is written": (signal.SIGTERM, lambda s: ending_of(s) is not None, 143),
}


def disturb(sweep: Sweep, phase: str, *arguments: str) -> subprocess.Popen[bytes]:
    number, ready, status = PHASES[phase]
    driver = sweep.start(*arguments)
    sweep.wait_for(lambda: ready(sweep), driver)
    send = os.killpg if number == signal.SIGINT else os.kill
    send(driver.pid, number)
    assert driver.wait(120) == status, sweep.output()
    return driver


def parent_status(sweep: Sweep) -> str:
    return str(read_store(f"sqlite:///{sweep.results}/mlflow.db", "s")["parent"]["status"])


def points(sweep: Sweep) -> dict[str, Any]:
    """MLflow's points by what identifies a trial across sweeps; seconds are left out."""
    runs = read_store(f"sqlite:///{sweep.results}/mlflow.db", "s")
    found = {}
    for name, run in runs.items():
        if name == "parent":
            continue
        tags = run["tags"]
        assert run["status"] == "FINISHED", (name, run["status"])
        key = f"{tags['arm']} {tags['configuration']} {tags['phase']}"
        assert key not in found
        found[key] = {
            metric: run["points"][metric]
            for metric in ("epoch", "train_loss", "val_accuracy", "test_accuracy", "subset_size")
        }
    return found


def check_same(sweep: Sweep, undisturbed: Sweep) -> None:
    trials = pd.read_parquet(sweep.results / "trials.parquet")
    assert set(trials["status"]) == {"finished"}, sweep.output()
    assert sweep.history_bytes() == undisturbed.history_bytes()
    pd.testing.assert_frame_equal(sweep.metrics(), undisturbed.metrics())
    assert points(sweep) == points(undisturbed)
    assert parent_status(sweep) == "FINISHED"
    assert ending_of(sweep)["how"] == "finished"
    assert "interrupted" not in (sweep.results / "report.html").read_text()


def test_ctrl_c_saves_reports_and_trains_nothing_more(folder: Path) -> None:
    sweep = Sweep(folder, keys=KEYS, epoch_s=0.5)
    disturb(sweep, "seed")
    assert not (sweep.results / "promotion").exists()
    assert max(sweep.epochs("seed")) < EPOCHS
    # The replay beside the seed has the seed's speed and may be at its end; no other one began.
    assert sweep.epochs("cached") == list(range(1, len(sweep.epochs("cached")) + 1))
    assert parent_status(sweep) == "KILLED"
    assert f"tune-select run --resume {sweep.results}" in sweep.output()
    assert "Tuner.restore" not in sweep.output()
    assert "This sweep was interrupted (Ctrl-C)" in (sweep.results / "report.html").read_text()
    (seed,) = sweep.results.glob("*arm=seed*")
    saved = max(seed.glob("checkpoint_*"))  # nothing that was trained is trained again
    assert len(list(saved.iterdir())) > 0


@pytest.mark.slow
def test_the_gauntlet(undisturbed: Sweep, folder: Path) -> None:
    sweep = Sweep(folder, keys=KEYS, epoch_s=0.5)
    again = ("--resume", str(sweep.results))
    disturb(sweep, "seed")
    disturb(sweep, "replays", *again)
    assert parent_status(sweep) == "KILLED"
    assert "SIGTERM received" not in sweep.output()  # the C++ stack that Ray would print
    disturb(sweep, "promotion", *again)
    disturb(sweep, "report", *again)
    sweep.resume()
    check_same(sweep, undisturbed)
    assert Counter(sweep.epochs("seed")) == dict.fromkeys(range(1, EPOCHS + 1), 1)


def damage(sweep: Sweep) -> None:
    """What Tune and MLflow keep is gone or in halves; what is ours is not."""
    (sweep.results / "mlflow.db").unlink()
    (sweep.results / "tuner.pkl").write_bytes(b"half")
    for folder in (sweep.results, sweep.results / "promotion"):
        for file in folder.glob("*-state*"):
            file.write_bytes(file.read_bytes()[:40])
        for file in folder.glob("experiment_state-*.json"):
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.slow
def test_what_was_damaged_since_is_made_anew(undisturbed: Sweep) -> None:
    before = pd.read_parquet(undisturbed.results / "trials.parquet")
    told, trained = points(undisturbed), undisturbed.epochs("seed") + undisturbed.epochs("full")
    damage(undisturbed)
    undisturbed.resume()
    after = pd.read_parquet(undisturbed.results / "trials.parquet")
    pd.testing.assert_frame_equal(after, before)
    assert points(undisturbed) == told
    assert undisturbed.epochs("seed") + undisturbed.epochs("full") == trained


@pytest.mark.slow
def test_another_sweep_under_the_old_name_is_refused(undisturbed: Sweep) -> None:
    written = undisturbed.results / "sweep.yaml"
    text = written.read_text()
    written.write_text(text.replace("learning_rate: 0.02", "learning_rate: 0.03"))
    try:
        assert undisturbed.start("--resume", str(undisturbed.results)).wait(120) == 2
    finally:
        written.write_text(text)
    assert "train.learning_rate was 0.02 and is now 0.03" in undisturbed.output()


@pytest.mark.slow
def test_a_budget_ends_a_sweep_and_a_resume_has_another(undisturbed: Sweep, folder: Path) -> None:
    budget = {"tune": {"max_failures": 8, "time_budget_s": 8}}
    sweep = Sweep(folder, keys={**KEYS, **budget}, epoch_s=1.5)
    assert sweep.start().wait(300) == 3, sweep.output()
    assert "its time budget (tune.time_budget_s: 8) is over" in sweep.output()
    assert "Nothing was promoted (promote: 1)" in sweep.output()
    assert "time budget" in (sweep.results / "report.html").read_text()
    assert parent_status(sweep) == "KILLED"
    written = sweep.results / "sweep.yaml"
    written.write_text(written.read_text().replace("time_budget_s: 8.0", "time_budget_s: 600.0"))
    sweep.resume()
    check_same(sweep, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("edge", ["while Ray starts", "while the report is written"])
def test_a_signal_outside_of_the_experiments(edge: str, undisturbed: Sweep, folder: Path) -> None:
    sweep = Sweep(folder, keys=KEYS)
    disturb(sweep, edge)
    assert "This sweep was interrupted (SIGTERM)" in sweep.output()
    sweep.resume()
    check_same(sweep, undisturbed)


@pytest.mark.slow
def test_the_second_signal_ends_at_once_and_loses_nothing(undisturbed: Sweep, folder: Path) -> None:
    sweep = Sweep(folder, keys=KEYS, epoch_s=1.0)
    driver = sweep.start()
    sweep.wait_for(lambda: 3 in sweep.epochs("seed"), driver)
    os.kill(driver.pid, signal.SIGINT)
    os.kill(driver.pid, signal.SIGTERM)
    assert driver.wait(20) in (130, 143)
    sweep.resume()
    check_same(sweep, undisturbed)


@pytest.mark.slow
def test_two_at_once_train_nothing_twice(undisturbed: Sweep, folder: Path) -> None:
    sweep = Sweep(folder, keys=KEYS)
    both = [sweep.start(), sweep.start()]
    assert sorted(driver.wait(300) for driver in both) == [0, 2], sweep.output()
    check_same(sweep, undisturbed)
