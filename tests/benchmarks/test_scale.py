"""1,000 trivial trials on one machine: time and driver memory against FIFO."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from ray import tune
from ray.tune.schedulers import FIFOScheduler

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena
from tests.tune_select.toy import Toy
from tune_select.scheduler import SeedReplayScheduler
from tune_select.search import seed_first
from tune_select.store import HistoryStore

pytestmark = [*RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(3600)]

TRIALS = int(os.environ.get("TUNE_SELECT_BENCHMARK_TRIALS", "1000"))


class MemoryProbe(tune.Callback):
    """Resident bytes of the driver each time a trial ends, and processor seconds of the driver."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.bytes.append(psutil.Process().memory_info().rss)

    def slope(self) -> float:
        """Bytes per trial, over the second half: the first holds start-up and caches."""
        half = np.array(self.bytes[len(self.bytes) // 2 :], float)
        return float(np.polyfit(np.arange(len(half)), half, 1)[0])


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with ray_session(2) as root, HistoryStore.start("scale") as store:
        yield Arena(Path(root), store)


def run(folder: Path, space: dict[str, Any], scheduler: Any, search: Any) -> dict[str, float]:
    probe = MemoryProbe()
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
    assert results.num_errors == 0
    return {
        "trials": len(results),
        "wall_s": time.perf_counter() - start,
        "driver_cpu_s": time.process_time() - cpu,
        "bytes_per_trial": probe.slope(),
    }


def test_a_thousand_trials(arena: Arena) -> None:
    rates = tune.grid_search([0.001 * i for i in range(TRIALS)])
    made = arena.sweep(space={"learning_rate": tune.grid_search([0.1]), "max_epochs": 2})
    folder = arena.fresh()
    space = arena.space(folder, learning_rate=rates, max_epochs=2, arm="cached")
    space["history"] = str(made.folder / "history")
    del space["log"]
    plain = run(folder, space, FIFOScheduler(), None)
    folder = arena.fresh()
    space = arena.space(folder, learning_rate=rates, max_epochs=2)
    del space["log"]
    seeds = [{"learning_rate": 0.1}]
    search, space = seed_first(None, space=space, seed_configs=seeds, arms=["cached"])
    ours = run(folder, space, SeedReplayScheduler(), search)
    for name, row in (("FIFO", plain), ("seed and replays", ours)):
        print(
            f"\n{name}: {row['trials']} trials, {row['wall_s']:.1f} s, driver "
            f"{row['driver_cpu_s']:.1f} CPU s, {row['bytes_per_trial'] / 1e3:.1f} kB per trial"
        )
    # A trial's record stays in Tune's memory for good; what we add to it must be small.
    assert ours["bytes_per_trial"] <= plain["bytes_per_trial"] + 20e3
    assert ours["driver_cpu_s"] <= 1.15 * plain["driver_cpu_s"]
