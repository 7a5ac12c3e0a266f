"""200 trivial trials through ``SeedReplayScheduler`` against the same through FIFO.

Runs take turns in one process (FIFO, ours, ours, FIFO, ...), so that whatever else the machine does
hits both. Actors are reused, and each run's time includes starting them.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import FIFOScheduler

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena
from tests.tune_select.toy import Toy
from tune_select.scheduler import SeedReplayScheduler
from tune_select.search import seed_first
from tune_select.store import HistoryStore

pytestmark = [*RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(1800)]

TRIALS = int(os.environ.get("TUNE_SELECT_BENCHMARK_TRIALS", "200"))
PAIRS = int(os.environ.get("TUNE_SELECT_BENCHMARK_PAIRS", "3"))
LIMIT = 1.05


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with ray_session(2) as root, HistoryStore.start("overhead") as store:
        yield Arena(Path(root), store)


def run_s(folder: Path, space: dict[str, Any], scheduler: Any, search: Any) -> float:
    start = time.perf_counter()
    results = tune.Tuner(
        tune.with_resources(Toy, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, search_alg=search, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=str(folder), name="run", verbose=0),
    ).fit()
    taken_s = time.perf_counter() - start
    assert results.num_errors == 0
    assert len(results) >= TRIALS
    return taken_s


def test_two_hundred_trivial_trials(arena: Arena) -> None:
    made = arena.sweep(space={"learning_rate": tune.grid_search([0.1])})
    history = str(made.folder / "history")
    rates = tune.grid_search([0.001 * i for i in range(TRIALS)])

    def fifo() -> float:
        folder = arena.fresh()
        space = arena.space(folder, learning_rate=rates, history=history, arm="cached")
        del space["log"]
        return run_s(folder, space, FIFOScheduler(), None)

    def replaying(*, with_seed: bool) -> float:
        folder = arena.fresh()
        space = arena.space(folder, learning_rate=rates)
        del space["log"]
        if not with_seed:
            space["history"] = history
        seeds = [{"learning_rate": 0.1}] if with_seed else []
        search, space = seed_first(None, space=space, seed_configs=seeds, arms=["cached"])
        return run_s(folder, space, SeedReplayScheduler(), search)

    finished, seeded, plain = [], [], []
    for _ in range(PAIRS):
        plain.append(fifo())
        finished.append(replaying(with_seed=False))
        seeded.append(replaying(with_seed=True))
    ratios = [ours / theirs for ours, theirs in zip(finished, plain, strict=True)]
    with_seed = [ours / theirs for ours, theirs in zip(seeded, plain, strict=True)]
    print(
        f"\n{TRIALS} trials: FIFO {statistics.median(plain):.1f} s; replaying a finished history "
        f"{statistics.median(finished):.1f} s, ratios {[round(r, 3) for r in ratios]}; with a seed "
        f"to wait for {statistics.median(seeded):.1f} s, ratios {[round(r, 3) for r in with_seed]}"
    )
    assert statistics.median(ratios) <= LIMIT
