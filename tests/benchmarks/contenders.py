"""The same trivial trials under FIFO and under the seed's scheduler, side by side.

Each contender runs in a process of its own with a Ray of its own, and all start at once, so that
whatever the machine does hits them alike.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ray import tune
from ray.tune.execution.tune_controller import TuneController
from ray.tune.schedulers import FIFOScheduler

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import Arena
from tests.tune_select.toy import Toy
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.search.seed_first import seed_first

KINDS = ("fifo", "finished history", "seed and replays")


class MemoryProbe(tune.Callback):
    """Resident bytes of the driver each time a trial ends."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.bytes.append(psutil.Process().memory_info().rss)

    def slope(self) -> float:
        """Bytes per trial, over the second half: the first holds start-up and caches."""
        half = np.array(self.bytes[len(self.bytes) // 2 :], float)
        return float(np.polyfit(np.arange(len(half)), half, 1)[0])


class SnapshotProbe:
    """Seconds of each of Tune's snapshots of its own state, on the driver's one thread."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        original = TuneController.checkpoint

        def timed(controller: Any, *args: Any, **named: Any) -> None:
            started = time.perf_counter()
            original(controller, *args, **named)
            taken_s = time.perf_counter() - started
            if taken_s > 1e-3:  # else it was not due
                self.seconds.append(taken_s)

        TuneController.checkpoint = timed


def side_by_side(kinds: Sequence[str], trials: int, epochs: int) -> list[dict[str, Any]]:
    """Run contenders at once; their measurements, in the order of ``kinds``."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(len(kinds)), context.Queue()
    processes = [
        context.Process(target=contend, args=(place, kind, trials, epochs, barrier, answers))
        for place, kind in enumerate(kinds)
    ]
    for process in processes:
        process.start()
    rows = dict(answers.get(timeout=3000) for _ in processes)
    for process in processes:
        process.join(60)
    return [json.loads(rows[place]) for place in range(len(kinds))]


def contend(
    place: int, kind: str, trials: int, epochs: int, barrier: Barrier, answers: Any
) -> None:
    """One contender: prepare, wait for the others, run, answer."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "1"
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the process's life
    with ray_session(2) as root, HistoryStore.start("contender") as store:
        arena = Arena(Path(root), store)
        made = arena.sweep(space={"learning_rate": tune.grid_search([0.1]), "max_epochs": epochs})
        folder = arena.fresh()
        rates = tune.grid_search([0.001 * i for i in range(trials)])
        space = arena.space(folder, learning_rate=rates, max_epochs=epochs)
        del space["log"]
        if kind != "seed and replays":
            space["history"] = str(made.folder / "history")
        barrier.wait(300)
        answers.put((place, json.dumps(measure(kind, folder, space))))


def measure(kind: str, folder: Path, space: dict[str, Any]) -> dict[str, Any]:
    """Seconds and memory of one run."""
    scheduler, search = FIFOScheduler(), None
    if kind == "fifo":
        space["arm"] = "cached"
    else:
        seeds = [{"learning_rate": 0.1}] if kind == "seed and replays" else []
        search, space = seed_first(None, space=space, seed_configs=seeds, arms=["cached"])
        scheduler = SeedReplayScheduler()
    probe, snapshots = MemoryProbe(), SnapshotProbe()
    start, cpu = time.perf_counter(), time.process_time()
    results = tune.Tuner(
        tune.with_resources(Toy, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, search_alg=search, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder), name="run", verbose=0, callbacks=[probe]
        ),
    ).fit()
    return {
        "kind": kind,
        "trials": len(results),
        "errors": results.num_errors,
        "wall_s": time.perf_counter() - start,
        "driver_cpu_s": time.process_time() - cpu,
        "bytes_per_trial": probe.slope(),
        "snapshots_s": sum(snapshots.seconds),
        "last_snapshot_s": snapshots.seconds[-1],
    }
