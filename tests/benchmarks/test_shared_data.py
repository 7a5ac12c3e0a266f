"""Four trials on one node hold one copy of the data set, by proportional set size.

A page that p processes map counts 1/p in each one's proportional set size (PSS), so the sum over
processes counts every page once. The sum over four trials is measured with a large data set and
with a small one; the difference is what the data set costs all of them together.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray
from ray import tune

from trainables import ImageClassification

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    # Ray 2.60 and its dependencies, not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TRIALS = 4
LARGE, SMALL = 60_000, 200  # training examples of 3 x 32 x 32 bytes: 184 MB and 0.6 MB
BYTES = 3 * 32 * 32


class Held(ImageClassification):
    """Touches all of its data, says so, and holds on to it until all have been measured."""

    def step(self) -> dict[str, Any]:
        report = super().step()
        data = self._datasets.of(self.config, self.settings)
        touched = sum(int(part.images.sum()) for part in (data.train, data.validation, data.test))
        marks = Path(self.settings.data["root"]).parent / "marks"
        (marks / str(os.getpid())).touch()
        wait_for(lambda: (marks / "measured").exists())
        return {**report, "touched": touched}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "the trials did not come together"
        time.sleep(0.1)


def data_pss(pid: int) -> int:
    """Proportional set size but for program files, whose shares vary with who else runs them."""
    maps = psutil.Process(pid).memory_maps(grouped=True)
    return sum(m.pss for m in maps if ".so" not in m.path and "/python" not in m.path)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = tempfile.mkdtemp(prefix="rp", dir="/tmp")
    root = Path(__file__).parents[2]
    ray.init(
        address="local",  # never somebody else's cluster on this machine
        num_cpus=TRIALS,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=600_000_000,
        runtime_env={"env_vars": {"PYTHONPATH": str(root)}},
    )
    yield Path(path)
    ray.shutdown()
    shutil.rmtree(path, ignore_errors=True)


def total_pss(folder: Path, examples: int) -> int:
    root = folder / str(examples)
    (root / "marks").mkdir(parents=True)
    generator = np.random.default_rng(0)
    np.savez(
        root / "set.npz",
        x_train=generator.integers(0, 255, (examples, 3, 32, 32), dtype=np.uint8),
        y_train=np.arange(examples) % 10,
        x_test=generator.integers(0, 255, (100, 3, 32, 32), dtype=np.uint8),
        y_test=np.arange(100) % 10,
    )
    params = {
        "arm": "random",
        "model": "small_cnn",
        "model_settings": {"channels": [8]},
        "batch_size": 32,
        "max_epochs": 1,
        "learning_rate": tune.grid_search([0.01, 0.02, 0.03, 0.04]),
        # Without a validation split both sizes evaluate the same 100 examples: activations are no
        # part of the data set.
        "data": {"name": "arrays", "root": str(root / "set.npz"), "validation_fraction": 0.0},
        "selection": {"fraction": 100 / examples, "select_every": 1},
    }
    trainable = tune.with_parameters(Held, dataset=Held.load_dataset(params))
    config = tune.RunConfig(storage_path=str(root), name="sweep", verbose=0)
    tuner = tune.Tuner(trainable, param_space=params, run_config=config)
    sizes: list[int] = []
    watcher = threading.Thread(target=lambda: sizes.append(measure(root / "marks")))
    watcher.start()
    results = tuner.fit()
    watcher.join()
    assert not results.errors
    return sizes[0]


def measure(marks: Path) -> int:
    """The sum over the four trials while all of them hold the data."""
    try:
        wait_for(lambda: len(list(marks.iterdir())) == TRIALS)
        return sum(data_pss(int(mark.name)) for mark in marks.iterdir())
    finally:
        (marks / "measured").touch()


def test_four_trials_hold_one_copy(folder: Path) -> None:
    small = total_pss(folder, SMALL)
    large = total_pss(folder, LARGE)
    copies = (large - small) / ((LARGE - SMALL) * BYTES)
    print(f"\nfour trials' PSS: {small / 1e6:.0f} MB -> {large / 1e6:.0f} MB, {copies:.2f} copies")
    # The driver and Ray's raylet map the pages too and take their shares, so it is below 1.
    assert 0 < copies <= 1.1
