"""The global generators, seeded from the streams of ``tune_select.streams``."""

from __future__ import annotations

import torch

from tune_select.streams import Purpose, stream, stream_seed

__all__ = ["Purpose", "seed_global", "stream", "stream_seed"]


def seed_global(seed: int, purpose: Purpose, number: int, device: torch.device) -> None:
    """Seed the generators that dropout and initialisation draw from, on the CPU and ``device``.

    ``torch.manual_seed`` would note a stack trace for each kind of device that is not there, which
    takes as long as an epoch on a small subset.

    Args:
        seed: The seed of the trial.
        purpose: What the stream is for; each purpose has draws of its own.
        number: Epoch or interval.
        device: Whose generator is seeded beside the CPU's.
    """
    value = stream_seed(seed, purpose, number)
    torch.default_generator.manual_seed(value)
    if device.type == "cuda":
        torch.cuda.manual_seed(value)
