"""An epoch of replay through the trainable against a bare PyTorch loop over the same examples.

Both train in one process and one thread and take turns. The ratio that is checked is of CPU time,
which other programs on the machine do not touch; that of the wall clock is shown beside it. The
trainable's time is that of its whole step but for evaluation, which the bare loop does not do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from trainables import ImageClassification
from trainables.data.images import load_images
from trainables.models import build_model
from tune_select.history import SubsetHistory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LIMIT = 1.05
PAIRS = {"digits": 200, "cifar10-sized": 40}
"""Epochs of each; the median of the ratios of neighbours is compared."""


@dataclass
class Bare:
    """What one would write in a notebook: arrays as tensors, SGD, cosine annealing."""

    images: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    batch_size: int
    pad: int

    def epoch(self, indices: torch.Tensor, weights: torch.Tensor) -> None:
        self.model.train()
        order = torch.randperm(len(indices))
        total = torch.zeros(())
        for chosen in order.split(self.batch_size):
            batch = indices[chosen]
            images = self.images[batch]
            if self.pad:
                images = self.augmented(images)
            inputs = (images.float() - self.mean) / self.std
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            weight = weights[chosen]
            losses = functional.cross_entropy(
                self.model(inputs), self.labels[batch], reduction="none"
            )
            loss = (losses * weight).sum() / weight.sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        assert torch.isfinite(total)

    def augmented(self, images: torch.Tensor) -> torch.Tensor:
        size, _, height, width = images.shape
        padded = functional.pad(images, (self.pad,) * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        shifts = torch.randint(2 * self.pad + 1, (2, size))
        cropped = windows[torch.arange(size), :, shifts[0], shifts[1]]
        mirrored = torch.rand(size) < 0.5
        cropped[mirrored] = cropped[mirrored].flip(3)
        return cropped


def timed(epoch: Callable[[], object]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of one epoch."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    epoch()
    return time.process_time() - cpu_s, time.perf_counter() - wall_s


def median_ratios(config: dict[str, Any], pad: int, pairs: int) -> tuple[float, float, float]:
    """(ratio of CPU time, ratio of wall time, CPU seconds of a bare epoch), medians."""
    seed = ImageClassification({**config, "arm": "seed"})
    seed.train()
    trial = ImageClassification({**config, "arm": "cached"})
    interval = SubsetHistory.load(config["history"]).intervals[0]
    data = load_images(config["data"])
    model = build_model(
        config["model"], data.classes, data.channels, data.image_size, config["model_settings"]
    ).to(memory_format=torch.channels_last)  # as the trainable's, or it would be slower
    bare = Bare(
        torch.tensor(data.train.images),
        torch.tensor(data.train.labels),
        torch.tensor(data.mean)[:, None, None],
        torch.tensor(data.std)[:, None, None],
        model,
        torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4),
        config["batch_size"],
        pad,
    )
    indices, weights = torch.tensor(interval.indices), torch.tensor(interval.weights)
    measured = []
    for number in range(pairs + 5):
        if number % 2:
            ours = timed(trial.train)
            theirs = timed(lambda: bare.epoch(indices, weights))
        else:
            theirs = timed(lambda: bare.epoch(indices, weights))
            ours = timed(trial.train)
        measured.append((ours, theirs))
    warm = measured[5:]  # the first epochs fill caches and PyTorch's lazy imports
    cpu, wall = (
        statistics.median(ours[clock] / theirs[clock] for ours, theirs in warm) for clock in (0, 1)
    )
    return cpu, wall, statistics.median(theirs[0] for _, theirs in warm)


@pytest.mark.parametrize("case", ["digits", "cifar10-sized"])
def test_a_replay_epoch_costs_what_a_bare_epoch_costs(case: str, tmp_path: Path) -> None:
    pairs = PAIRS[case]
    torch.set_num_threads(1)
    pad, fraction = (0, 0.1) if case == "digits" else (4, 0.05)
    config: dict[str, Any] = {
        "model": "small_cnn",
        "model_settings": {"channels": [24, 48, 96]},
        "batch_size": 32,
        "max_epochs": 10 * pairs,
        "eval_every": 10 * pairs,
        "data": {"name": "digits"},
        "selection": {"algorithm": "random", "fraction": fraction, "select_every": 10 * pairs},
        "history": str(tmp_path / "history"),
    }
    if case == "cifar10-sized":
        generator = np.random.default_rng(0)
        np.savez(
            tmp_path / "set.npz",
            x_train=generator.integers(0, 255, (10_000, 3, 32, 32), dtype=np.uint8),
            y_train=np.arange(10_000) % 10,
            x_test=generator.integers(0, 255, (100, 3, 32, 32), dtype=np.uint8),
            y_test=np.arange(100) % 10,
        )
        root = str(tmp_path / "set.npz")
        config["data"] = {"name": "arrays", "root": root, "augment": {"pad": pad, "flip": True}}
        config["batch_size"] = 128
    cpu, wall, bare_s = median_ratios(config, pad, pairs)
    print(f"\n{case}: {cpu:.3f} by CPU time, {wall:.3f} by the clock; bare {bare_s * 1e3:.1f} ms")
    assert cpu <= LIMIT
