"""The driver is killed at different moments and the sweep resumed by another process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.histories import interval
from tests.tune_select.sweeps import read_lines
from tests.tune_select.toy import toy_identity
from tune_select.history import SubsetHistory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
REPLAYS, EPOCHS = 8, 6
SNAPSHOT_S = 3.0  # what ended this long before the driver's end must be known to its successor


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    (made / "log").mkdir()
    yield made
    shutil.rmtree(made, ignore_errors=True)


def driver(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tune_select.driver", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[str], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not ready():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.1)


def results_of(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    output, _ = process.communicate(timeout=600)
    lines = [line for line in output.splitlines() if line.startswith("RESULTS ")]
    assert lines, output
    return list(json.loads(lines[0].removeprefix("RESULTS ")))


def epochs_logged(folder: Path, arm: str) -> list[int]:
    lines = read_lines(folder / "log")
    return [line["value"] for line in lines if (line["arm"], line["what"]) == (arm, "epoch")]


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "before_the_first_interval": lambda folder: (folder / "sweep").exists(),
    "while_the_seed_runs": lambda folder: 3 in epochs_logged(folder, "seed"),
    "among_the_replays": lambda folder: len(epochs_logged(folder, "cached")) > 20,
}


@pytest.mark.parametrize("searcher", ["grid", "optuna"])
@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_a_killed_driver_is_resumed_and_nothing_runs_twice(
    folder: Path, searcher: str, moment: str
) -> None:
    process = driver("run", str(folder), searcher)
    wait_for(lambda: MOMENTS[moment](folder), process, 300)
    os.kill(process.pid, signal.SIGKILL)
    killed_at = time.time()
    process.communicate()
    time.sleep(3)
    if not list((folder / "sweep").glob("experiment_state-*.json")):
        assert moment == "before_the_first_interval"
        pytest.skip("killed before Tune had written anything to resume from")
    rows = results_of(driver("restore", str(folder), searcher))
    assert Counter(row["arm"] for row in rows) == {"seed": 1, "cached": REPLAYS}
    assert [row["epoch"] for row in rows] == [EPOCHS] * (1 + REPLAYS)
    assert sorted(row["configuration"] for row in rows if row["arm"] == "cached")
    whole = SubsetHistory.load(folder / "history")
    assert whole.complete
    config = {"max_epochs": EPOCHS, "select_every": 2, "learning_rate": 0.1}
    for number, published in enumerate(whole.intervals):
        assert published.same_content(interval(number, toy_identity(config)))
    lines = [line for line in read_lines(folder / "log") if line["what"] == "epoch"]
    ended = [line for line in lines if line["value"] == EPOCHS]
    before = {line["trial"] for line in ended if line["at"] < killed_at - SNAPSHOT_S}
    again = {line["trial"] for line in lines if line["at"] > killed_at}
    assert not before & again, "a trial that had ended ran again"
