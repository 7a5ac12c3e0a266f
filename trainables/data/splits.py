"""Seeded, stratified splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VALIDATION_FRACTION = "data.validation_fraction"


def stratified_split(
    labels: NDArray[np.int64], fraction: float, seed: int, *, field: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split positions so that each class gives about the same share.

    Class shares are rounded by largest remainder, so that the second part has exactly
    ``round(fraction n)`` examples where every class can spare them; each class keeps at least one
    example in the first part.

    Args:
        labels: int64 (n,).
        fraction: Share of the second part, in [0, 1).
        seed: The seed of the draw.
        field: What the user called ``fraction``, where a second part that is empty is a fault:
            without validation examples nothing is searched, and without a test split nothing told.

    Returns:
        Ascending int64 positions of the first and of the second part.

    Raises:
        ValueError: ``fraction`` is outside [0, 1), or holds nothing out.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must be in [0, 1), got {fraction}")
    classes, counts = np.unique(labels, return_counts=True)
    exact = fraction * counts
    taken = np.floor(exact).astype(np.int64)
    short = round(fraction * len(labels)) - int(taken.sum())
    taken[np.argsort(taken - exact, kind="stable")[:short]] += 1
    taken = np.minimum(taken, counts - 1)
    generator = np.random.default_rng(seed)
    second = [
        generator.permutation(np.flatnonzero(labels == label))[:count]
        for label, count in zip(classes, taken, strict=True)
    ]
    held_out = np.sort(np.concatenate(second)) if second else np.empty(0, np.int64)
    if field is not None and fraction > 0 and not len(held_out):
        raise ValueError(_nothing_held_out(field, fraction, len(labels)))
    kept = np.setdiff1d(np.arange(len(labels)), held_out, assume_unique=True)
    return kept, held_out


def _nothing_held_out(field: str, fraction: float, size: int) -> str:
    said = f"{field} is {fraction:g}, which of {size} training example{'s' * (size != 1)} is none"
    if round(fraction * size) >= 1:
        said += ", since each class keeps one to train on"
        return f"{said}: give more examples of a class, or name files of their own for that split"
    return f"{said}: raise it, give more examples, or set it to 0 for no such split"
