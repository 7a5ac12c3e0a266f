"""Whole sweeps of the command line on real digits, with something killed or taken away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.tune_select.command_line import EPOCHS, RATES, Sweep
from tests.tune_select.small_disk import SmallDisk, small_disk
from tests.tune_select.sweeps import read_lines
from tests.tune_select.tracking.state import mlflow_warnings, read_store
from tune_select.history import SubsetHistory

pytestmark = [mlflow_warnings, pytest.mark.slow, pytest.mark.timeout(1200)]

SNAPSHOT_S = 3.0  # what ended this long before the driver's end must be known to its successor


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"))
    sweep.run()
    return sweep


def check_whole(sweep: Sweep, undisturbed: Sweep) -> None:
    """Every trial ran to its end, and computed what it would have computed undisturbed."""
    trials = pd.read_parquet(sweep.results / "trials.parquet")
    assert set(trials["status"]) == {"finished"}, sweep.output()
    assert Counter(trials["arm"]) == {"seed": 1, "cached": len(RATES)}
    assert SubsetHistory.load(sweep.results / "history" / "seed").complete
    assert len(sweep.history_bytes()) == EPOCHS // 2
    assert sweep.history_bytes() == undisturbed.history_bytes()
    pd.testing.assert_frame_equal(sweep.metrics(), undisturbed.metrics())


def check_tracking(sweep: Sweep) -> None:
    """MLflow shows each trial once, and each of its epochs once."""
    if not sweep.tracking:
        return
    trials = pd.read_parquet(sweep.results / "trials.parquet")
    runs = read_store(f"sqlite:///{sweep.results}/mlflow.db", "s")
    assert set(runs) == {"parent", *trials["trial_id"]}
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    for trial in trials["trial_id"]:
        assert [step for step, _ in runs[trial]["points"]["epoch"]] == list(range(1, EPOCHS + 1))


@pytest.mark.parametrize("arm", ["seed", "cached"])
def test_killed_in_every_epoch_and_nothing_differs(
    folder: Path, undisturbed: Sweep, arm: str
) -> None:
    sweep = Sweep(folder, die_arm=arm, die_at=list(range(1, EPOCHS + 1)))
    sweep.run()
    dead = [line for line in read_lines(sweep.log) if line["what"] == "die"]
    assert Counter(line["arm"] for line in dead) == {arm: EPOCHS}
    check_whole(sweep, undisturbed)
    check_tracking(sweep)


MOMENTS: dict[str, Callable[[Sweep], bool]] = {
    "while_the_seed_runs": lambda sweep: 3 in sweep.epochs("seed"),
    "among_the_replays": lambda sweep: sweep.epochs("cached").count(EPOCHS) > 0,
}


def check_nothing_ran_twice(
    sweep: Sweep, ended_at: float, saved_until: float | None = None
) -> None:
    """What had ended a moment before the driver did, and could be saved, did not run again."""
    lines = [line for line in read_lines(sweep.log) if line["what"] == "epoch"]
    ended = [line for line in lines if line["value"] == EPOCHS]
    saved_until = ended_at if saved_until is None else saved_until
    before = {line["trial"] for line in ended if line["at"] < saved_until - SNAPSHOT_S}
    again = {line["trial"] for line in lines if line["at"] > ended_at}
    assert not before & again, "a trial that had ended ran again"


@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_a_killed_driver_is_resumed(folder: Path, undisturbed: Sweep, moment: str) -> None:
    sweep = Sweep(folder, epoch_s=1.0)  # the last replay outlives the wait below
    driver = sweep.start()
    sweep.wait_for(lambda: MOMENTS[moment](sweep), driver)
    time.sleep(SNAPSHOT_S + 0.5 if moment == "among_the_replays" else 0)
    killed_at = time.time()
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(3)  # what the driver had started notices, and ends
    resumed_at = time.time()
    sweep.resume()
    back = min(line["at"] for line in read_lines(sweep.log) if line["at"] > resumed_at)
    print(f"\nfrom --resume to the next epoch: {back - resumed_at:.1f} s")
    check_whole(sweep, undisturbed)
    check_nothing_ran_twice(sweep, killed_at + 3)
    check_tracking(sweep)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk(64 * 1024) as mounted:
        yield mounted


def finish(sweep: Sweep, driver: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Let the driver end by itself, or resume what its error has ended; how and when it ended."""
    ended = driver.wait(600)
    ended_at = time.time()
    print(f"\nthe driver ended with {ended}")
    if ended:
        sweep.resume()
    return ended, ended_at


def test_cells_that_share_a_training_are_whole_after_a_kill(folder: Path) -> None:
    """Full training does not hang on the fraction: one for each rate, shown in every cell."""
    keys = {
        "arms": ["random", "full"],
        "space": {"learning_rate": RATES[:2], "selection.fraction": [0.1, 0.2]},
    }
    sweep = Sweep(folder, keys=keys, tracking=False, epoch_s=0.6)
    driver = sweep.start()
    sweep.wait_for(lambda: EPOCHS in sweep.epochs("full"), driver)
    time.sleep(SNAPSHOT_S)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(3)  # what the driver had started notices, and ends
    sweep.resume()
    trials = pd.read_parquet(sweep.results / "trials.parquet").set_index("trial_id")
    assert set(trials["status"]) == {"finished"}, sweep.output()
    cells = ["arm", "config/learning_rate", "config/selection/fraction"]
    assert len(trials) == len(trials.drop_duplicates(cells)) == 8
    shared = trials[trials["same_as"].fillna("") != ""]
    assert Counter(shared["arm"]) == {"full": 2}
    for row in shared.to_dict("records"):
        source = trials.loc[row["same_as"]]
        assert source["config/learning_rate"] == row["config/learning_rate"]
        assert source["val_accuracy"] == row["val_accuracy"]
    # What the kill interrupted began again; nothing that had ended did.
    assert sweep.epochs("full").count(EPOCHS) <= 3


@pytest.mark.parametrize("fault", ["full", "read_only"])
@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_storage_that_fails_for_a_while(
    folder: Path, undisturbed: Sweep, disk: SmallDisk, fault: str, moment: str
) -> None:
    # A file system with files open for writing cannot be made read-only, and MLflow's are.
    sweep = Sweep(folder, storage=disk.root, tracking=fault == "full", epoch_s=0.5)
    driver = sweep.start()
    sweep.wait_for(lambda: MOMENTS[moment](sweep), driver)
    (disk.fill if fault == "full" else disk.refuse_writing)()
    away_at = time.time()
    time.sleep(8)
    (disk.free if fault == "full" else disk.allow_writing)()
    ended, ended_at = finish(sweep, driver)
    # Replays leave no checkpoint for the storage to refuse: the sweep outlasts what ends meanwhile.
    assert ended == 0 or moment == "while_the_seed_runs"
    check_whole(sweep, undisturbed)
    check_nothing_ran_twice(sweep, ended_at, ended_at if ended == 0 else away_at)
    check_tracking(sweep)
