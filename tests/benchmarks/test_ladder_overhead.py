"""What a ladder costs beside FIFO: 1,000 trivial configurations, and as many plain trials.

Six rounds in some eight minutes on two quiet cores, after one of 20 configurations that nobody
counts (the first search of a session starts its processes). Each round begins with the other of
both, and the ratio is that of the medians: equal runs on one machine differ by a fifth.
``TUNE_SELECT_BENCHMARK_TRIALS`` and ``TUNE_SELECT_BENCHMARK_ROUNDS`` change the sizes. In one
command, which prints medians and spread::

    python -m pytest -m slow -s tests/benchmarks/test_ladder_overhead.py
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
from ray.tune.search import SearchGenerator

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS
from tests.tune_select.toy import Toy
from tune_select import Rules, Rung, ladder
from tune_select.arms import Arm
from tune_select.search.fixed_points import FixedPoints

pytestmark = [*RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(3600)]

POINTS = int(os.environ.get("TUNE_SELECT_BENCHMARK_TRIALS", "1000"))
ROUNDS = int(os.environ.get("TUNE_SELECT_BENCHMARK_ROUNDS", "6"))
SPACE: dict[str, Any] = {"learning_rate": tune.uniform(0, 1), "max_epochs": 1, "history": None}
RUNGS = [*(Rung(fraction=f).arm("random", {}, 1) for f in (0.03, 0.1, 0.3)), Arm.of("full")]


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with ray_session(2) as folder:
        yield folder


def timed(
    algorithm: Any, space: dict[str, Any], folder: str, samples: int = 1
) -> tuple[float, int]:
    """Seconds and trials of one search."""
    tuner = tune.Tuner(
        tune.with_resources(Toy, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="score", mode="max", search_alg=algorithm, num_samples=samples, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=folder, name=Path(folder).name, verbose=0),
    )
    began = time.perf_counter()
    results = tuner.fit()
    assert not results.errors
    return time.perf_counter() - began, len(results)


def climbed(folder: str, points: int) -> tuple[float, int]:
    """Seconds and trials of a ladder of trivial trials."""
    algorithm, space = ladder(
        None, space=SPACE, rungs=RUNGS, rules=Rules(4), metric="score", num_samples=points
    )
    return timed(algorithm, space, folder)


def plain(folder: str, trials: int) -> tuple[float, int]:
    """The same of FIFO; one trial pending at a time, as where a search looks before it proposes."""
    points = [{"arm": "full", "learning_rate": i / trials, "max_epochs": 1} for i in range(trials)]
    return timed(SearchGenerator(FixedPoints(points)), {}, folder, samples=trials)


def test_a_ladder_takes_as_long_as_as_many_trials_of_fifo(root: str) -> None:
    _, small = climbed(f"{root}/first", 20)
    plain(f"{root}/first-plain", small)
    trials = sum(Rules(4).sizes(POINTS))  # sampled points go up in no order: nearly these
    each: dict[str, list[float]] = {"ladder": [], "FIFO": []}
    for number in range(ROUNDS):
        runs = [("ladder", climbed, POINTS), ("FIFO", plain, trials)]
        for name, act, size in runs if number % 2 == 0 else reversed(runs):
            seconds, count = act(f"{root}/{name}{number}", size)
            each[name].append(1000 * seconds / count)
            print(f"\nround {number}: {each[name][-1]:.1f} ms for a trial of the {name}")
    median = {name: statistics.median(found) for name, found in each.items()}
    ratio = median["ladder"] / median["FIFO"]
    print(
        f"{ROUNDS} rounds of {POINTS} configurations: median {median['ladder']:.1f} ms "
        f"({min(each['ladder']):.1f} to {max(each['ladder']):.1f}) for a trial of the ladder, "
        f"{median['FIFO']:.1f} ms ({min(each['FIFO']):.1f} to {max(each['FIFO']):.1f}) for one of "
        f"FIFO, ratio {ratio:.3f}"
    )
    assert ratio <= 1.05
