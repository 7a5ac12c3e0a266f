"""Independent random streams, derived from a trial's seed instead of carried along.

Each use of randomness (order of an epoch, augmentation, selection) has its own stream, keyed by the
seed, its purpose and the epoch or interval. There is no generator state to save: a trial restored
at epoch e draws exactly what an uninterrupted one draws, and trials with the same seed share the
order of their examples whatever else they do (common random numbers).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

Purpose = Literal[
    "initialisation", "order", "augmentation", "selection", "global", "reference", "replay"
]
_PURPOSES: tuple[Purpose, ...] = (
    "initialisation", "order", "augmentation", "selection", "global", "reference", "replay",
)  # fmt: skip


def stream_seed(seed: int, purpose: Purpose, number: int = 0) -> int:
    """A 63-bit seed for the stream of ``purpose`` in epoch or interval ``number``."""
    words = np.random.SeedSequence([seed, _PURPOSES.index(purpose), number])
    return int(words.generate_state(1, np.uint64)[0] >> np.uint64(1))


def stream(
    seed: int, purpose: Purpose, number: int = 0, *, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator for the stream of ``purpose`` in epoch or interval ``number``."""
    return torch.Generator(device).manual_seed(stream_seed(seed, purpose, number))


def seed_global(seed: int, purpose: Purpose, number: int, device: torch.device) -> None:
    """Seed the generators that dropout and initialisation draw from, on the CPU and ``device``.

    ``torch.manual_seed`` would note a stack trace for each kind of device that is not there, which
    takes as long as an epoch on a small subset.
    """
    value = stream_seed(seed, purpose, number)
    torch.default_generator.manual_seed(value)
    if device.type == "cuda":
        torch.cuda.manual_seed(value)
