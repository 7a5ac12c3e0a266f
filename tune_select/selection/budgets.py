"""Splitting a budget over classes, and groups of examples by class."""

from __future__ import annotations

import torch
from torch import Tensor


def split_budget(sizes: Tensor, budget: int) -> Tensor:
    """Split a budget over classes in proportion to their sizes, by largest remainders.

    Every class gets at least one example and none more than it has; the parts sum to the budget
    exactly. Ties go to the class that comes first.

    Args:
        sizes: int64 (c,) number of examples of each class, all at least 1.
        budget: k, in [c, sum of sizes].

    Returns:
        int64 (c,).

    Raises:
        ValueError: ``budget`` is below the number of classes or above the number of examples.
    """
    classes, total = sizes.shape[0], int(sizes.sum())
    if not classes <= budget <= total:
        raise ValueError(
            f"budget must be in [{classes}, {total}], at least one example per class and no more "
            f"than there are, got {budget}: raise the fraction, or use a selector that does not "
            "go class by class"
        )
    quota = sizes.double() * (budget / total)
    parts = quota.floor().long().clamp_(min=1)
    missing = budget - int(parts.sum())
    if missing > 0:
        order = (parts - quota).argsort(stable=True)
        parts[order[:missing]] += 1
    for _ in range(-missing):  # Classes below one example were rounded up: others pay for them.
        excess = torch.where(parts > 1, parts - quota, -torch.inf)
        parts[excess.argmax()] -= 1
    return parts


def class_groups(labels: Tensor) -> list[Tensor]:
    """Positions of the examples of each class that occurs, in ascending order of label.

    Args:
        labels: int64 (n,).

    Returns:
        One int64 tensor per class, on the labels' device, ascending.
    """
    order = labels.argsort(stable=True)
    counts = torch.unique_consecutive(labels[order], return_counts=True)[1]
    return list(torch.split(order, counts.tolist()))
