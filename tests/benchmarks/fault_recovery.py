"""How long a sweep takes to recover from each fault, and what was lost: a Markdown table.

``python -m tests.benchmarks.fault_recovery [FAULT ...] [--rounds N]``. Each fault is really done: a
process is killed, a node removed, a file system filled. After each, the sweep must have ended whole
and computed what an undisturbed one computes, or this ends with an error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
from ray import tune

from tests.tune_select.command_line import EPOCHS, Sweep
from tests.tune_select.histories import identity, interval
from tests.tune_select.history.test_store import kill_store
from tests.tune_select.ray_session import ray_session
from tests.tune_select.scheduling.test_cluster import lose_a_node, simulated
from tests.tune_select.small_disk import SmallDisk, small_disk
from tests.tune_select.sweep.test_sweep_faults import check_tracking, check_whole
from tests.tune_select.sweeps import Arena, read_lines
from tune_select.history.store import HistoryStore, StoredHistory

OUTAGE_S = 8.0


@contextmanager
def folder() -> Iterator[Path]:
    made = tempfile.mkdtemp(prefix="s", dir="/tmp")
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@cache
def undisturbed() -> Sweep:
    sweep = Sweep(Path(tempfile.mkdtemp(prefix="s", dir="/tmp")))
    sweep.run()
    return sweep


def trial_killed(arm: str) -> list[float]:
    """Killed at the end of each epoch, before it could report: seconds to the next epoch."""
    with folder() as place:
        sweep = Sweep(place, die_arm=arm, die_at=list(range(1, EPOCHS + 1)))
        sweep.run()
        check_whole(sweep, undisturbed())
        check_tracking(sweep)
        lines = read_lines(sweep.log)
    deaths = [(place, line) for place, line in enumerate(lines) if line["what"] == "die"]
    assert len(deaths) == EPOCHS
    return [
        next(x["at"] for x in lines[place + 1 :] if x["trial"] == dead["trial"]) - dead["at"]
        for place, dead in deaths
    ]


def store_killed() -> list[float]:
    """Seconds until a reader has an interval again that was published before."""
    seconds = []
    with ray_session(), HistoryStore.start("recovery") as store, folder() as place:
        history = store.access(str(place))
        history.begin(identity())
        history.publish(interval(0))
        for _ in range(3):
            kill_store(store.name)
            killed = time.monotonic()
            read = history.read(0, timeout_s=60)
            seconds.append(time.monotonic() - killed)
            assert read is not None
            assert read.same_content(interval(0))
    return seconds


def node_lost(arm: str) -> list[float]:
    with simulated() as cluster, folder() as place:
        return [lose_a_node(cluster, place, arm)]


def driver_killed(arm: str) -> list[float]:
    """Killed while the seed or while replays train: seconds from ``--resume`` to the next epoch."""
    with folder() as place:
        sweep = Sweep(place, epoch_s=0.5)
        driver = sweep.start()
        sweep.wait_for(lambda: 3 in sweep.epochs(arm), driver)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        time.sleep(3)  # what the driver had started notices, and ends
        resumed = time.time()
        sweep.resume()
        check_whole(sweep, undisturbed())
        check_tracking(sweep)
        return [min(line["at"] for line in read_lines(sweep.log) if line["at"] > resumed) - resumed]


def storage_fails(
    begin: Callable[[SmallDisk], None], end: Callable[[SmallDisk], None], tracking: bool
) -> list[float]:
    """For a while: seconds from its end until the seed trains again, 0 where it never stopped."""
    with folder() as place, small_disk(64 * 1024) as disk:
        sweep = Sweep(place, storage=disk.root, tracking=tracking, epoch_s=0.5)
        driver = sweep.start()
        sweep.wait_for(lambda: 3 in sweep.epochs("seed"), driver)
        begin(disk)
        time.sleep(OUTAGE_S)
        end(disk)
        ended = time.time()
        assert driver.wait(600) == 0, sweep.output()
        check_whole(sweep, undisturbed())
        check_tracking(sweep)
        lines = [line for line in read_lines(sweep.log) if line["at"] > ended]
    return [min(line["at"] for line in lines if line["what"] == "epoch") - ended]


def store_s_disk_full() -> list[float]:
    """Seconds from room on the disk to the acknowledged interval."""
    with ray_session(), HistoryStore.start("disk") as store, small_disk(256) as disk:
        history = store.access(str(disk.root / "h"))
        history.begin(identity())
        history.publish(interval(0))
        disk.fill()
        with suppress(OSError):
            StoredHistory(history.path, store.name, patience_s=0.3).publish(interval(1))
            raise AssertionError("the disk was not full")
        freed: list[float] = []

        def free() -> None:
            disk.free()
            freed.append(time.monotonic())

        threading.Timer(OUTAGE_S, free).start()
        assert history.publish(interval(1))
        return [time.monotonic() - freed[0]]


def seed_gives_up() -> list[float]:
    """Seconds from the seed's last death to the sweep's one error."""
    with ray_session() as root, HistoryStore.start("gives-up") as store:
        arena = Arena(Path(root), store)
        place = arena.fresh()
        die = {"arm": "seed", "epochs": [3], "folder": "always", "how": "raise"}
        space = {"die": die, "epoch_s": {"seed": 0.5}, "max_epochs": 8}
        with pytest.raises(tune.TuneError, match="resume the sweep"):
            arena.sweep(folder=place, stream=True, max_failures=2, space=space)
        ended = time.time()
        deaths = [line["at"] for line in read_lines(place / "log") if line["what"] == "die"]
        assert len(deaths) == 3
        return [ended - deaths[-1]]


FAULTS: dict[str, Callable[[], list[float]]] = {
    "seed": lambda: trial_killed("seed"),
    "replay": lambda: trial_killed("cached"),
    "store": store_killed,
    "node_of_seed": lambda: node_lost("seed"),
    "node_of_replay": lambda: node_lost("cached"),
    "driver_during_seed": lambda: driver_killed("seed"),
    "driver_during_replays": lambda: driver_killed("cached"),
    "disk_full": lambda: storage_fails(SmallDisk.fill, SmallDisk.free, True),
    "disk_full_for_store": store_s_disk_full,
    "read_only": lambda: storage_fails(SmallDisk.refuse_writing, SmallDisk.allow_writing, False),
    "seed_gives_up": seed_gives_up,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", default=list(FAULTS), metavar="FAULT")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    rows = []
    for fault in arguments.faults:
        seconds = [s for _ in range(arguments.rounds) for s in FAULTS[fault]()]
        rows.append(
            f"| {fault} | {len(seconds)} | {statistics.median(seconds):.1f} "
            f"| {min(seconds):.1f}-{max(seconds):.1f} |"
        )
        print(f"\n{rows[-1]}", flush=True)
    print("\n| fault | times | median s | range s |\n| --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
