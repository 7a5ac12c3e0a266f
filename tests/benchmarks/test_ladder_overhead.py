"""What a ladder costs beside FIFO: 1,000 trivial configurations, and as many plain trials.

``TUNE_SELECT_BENCHMARK_TRIALS`` and ``TUNE_SELECT_BENCHMARK_ROUNDS`` change the sizes.
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
ROUNDS = int(os.environ.get("TUNE_SELECT_BENCHMARK_ROUNDS", "3"))
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


def test_a_ladder_takes_as_long_as_as_many_trials_of_fifo(root: str) -> None:
    ratios = []
    for number in range(ROUNDS):
        algorithm, space = ladder(
            None, space=SPACE, rungs=RUNGS, rules=Rules(4), metric="score", num_samples=POINTS
        )
        climbed_s, trials = timed(algorithm, space, f"{root}/ladder{number}")
        # One trial pending at a time, like every search that must look before it proposes.
        plain = [
            {"arm": "full", "learning_rate": i / trials, "max_epochs": 1} for i in range(trials)
        ]
        fifo = SearchGenerator(FixedPoints(plain))
        plain_s, again = timed(fifo, {}, f"{root}/fifo{number}", samples=trials)
        assert again == trials
        ratios.append(climbed_s / plain_s)
        print(f"\n{trials} trials: ladder {climbed_s:.1f} s, FIFO {plain_s:.1f} s")
    assert statistics.median(ratios) <= 1.05
