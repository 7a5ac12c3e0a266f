"""How a task is asked to evaluate a split: whole or in part, and with what besides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.data.splits import stratified_split

_AUTO_PART = 2000  # examples: an accuracy's standard error is then at most 1.1 percentage points
_PART_SEED = 0  # not the trial's: all trials are judged on the same examples


@dataclass
class Look:
    """What the next evaluation is to see. ``split_means`` heeds it, and so do all tasks here.

    A task that evaluates in its own way may ignore it, which costs time and nothing else.

    Attributes:
        positions: Examples of the split, int64 (m,) ascending on the CPU; ``None`` for all.
        calibrated: Whether a classifier is to add ``calibrated_loss``.
        heeded: Whether the evaluation asked for ``positions``, so that it saw those alone.
    """

    positions: Tensor | None = None
    calibrated: bool = False
    heeded: bool = False


def fixed_part(labels: Tensor, part: float | str) -> Tensor | None:
    """The examples of a split that stand for it, stratified by label; the same on every call.

    Args:
        labels: int64 (n,) of the split.
        part: Share of the split in (0, 1], or ``auto`` for at most 2,000 examples.

    Returns:
        int64 (m,) ascending positions on the CPU, ``None`` where the whole split is to be seen.
    """
    size = len(labels)
    share = min(1.0, _AUTO_PART / max(size, 1)) if part == "auto" else float(part)
    if share >= 1 or round(share * size) < 2:
        return None
    _, chosen = stratified_split(labels.cpu().numpy(), share, _PART_SEED)
    # Of classes with one example each nothing is drawn, and of one example nothing is estimated.
    return torch.from_numpy(chosen) if len(chosen) >= 2 else None


def part_standard_error(share: float, part: int, whole: int) -> float:
    """How far a share counted on a random part is from that of the whole, one standard deviation.

    The square is the unbiased estimate of the variance of a mean of zeros and ones drawn without
    replacement (Cochran 1977, *Sampling Techniques*, eq. 3.8): p (1 - p) / (m - 1) (1 - m / n).
    Stratifying by label can only make the part better than that.

    Args:
        share: p, counted on the part, in [0, 1].
        part: m, examples of the part, at least 2.
        whole: n, examples of the split.
    """
    return math.sqrt(share * (1 - share) / (part - 1) * (1 - part / whole))
