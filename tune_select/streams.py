"""Independent random streams, derived from a trial's seed instead of carried along.

Each use of randomness (order of an epoch, augmentation, selection) has its own stream, keyed by the
seed, its purpose and the epoch or interval. There is no generator state to save: a trial restored
at epoch e draws exactly what an uninterrupted one draws, and trials with the same seed share the
order of their examples whatever else they do (common random numbers).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
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
    """A 63-bit seed for the stream of ``purpose`` in epoch or interval ``number``.

    Args:
        seed: The seed of the trial.
        purpose: What the stream is for; each purpose has draws of its own.
        number: Epoch or interval.
    """
    words = np.random.SeedSequence([seed, _PURPOSES.index(purpose), number])
    return int(words.generate_state(1, np.uint64)[0] >> np.uint64(1))


def stream(
    seed: int, purpose: Purpose, number: int = 0, *, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator for the stream of ``purpose`` in epoch or interval ``number``.

    Args:
        seed: The seed of the trial.
        purpose: What the stream is for; each purpose has draws of its own.
        number: Epoch or interval.
        device: Where the generator draws.
    """
    return torch.Generator(device).manual_seed(stream_seed(seed, purpose, number))


@contextmanager
def kept_randomness(seed: int | None = None) -> Iterator[None]:
    """Leave the global generators of Python, NumPy and torch as they were.

    Args:
        seed: What to seed them with meanwhile; ``None`` lets them go on from where they are.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - users draw from it
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=devices):
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                torch.random.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
