"""How alike two rankings are: Kendall's tau and top-k recall, for many samples at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def kendall_tau(x: Array, y: Array) -> Array:
    """Kendall's tau-b of score vectors (..., n) -> (...); NaN where one of them is constant.

    Ties in both (two diverged trials, or one configuration drawn twice) count for neither side.
    Infinite scores are ordinary: diverged trials tie as the worst. NaN pairs are left out.
    """
    missing = np.isnan(x) | np.isnan(y)
    a, b = _signs(np.where(missing, np.nan, x)), _signs(np.where(missing, np.nan, y))
    # Of the pairs (i, j) and (j, i) both are counted, above and below: the factor cancels. A pair
    # that is tied in x or in y has sign 0, so the sums of |signs| count the pairs untied in each.
    untied = np.sqrt(np.abs(a).sum(axis=(-2, -1)) * np.abs(b).sum(axis=(-2, -1)))
    return np.asarray((a * b).sum(axis=(-2, -1)) / np.where(untied > 0, untied, np.nan))


def _signs(scores: Array) -> Array:
    with np.errstate(invalid="ignore"):  # inf - inf: a tie
        difference = scores[..., :, None] - scores[..., None, :]
    return np.nan_to_num(np.sign(difference))


def top_k_recall(scores: Array, reference: Array, k: int) -> Array:
    """Share of the reference's best k that are among the scores' best k, (..., n) -> (...).

    Larger is better. Entries tied at the edge share the places that are left, and an entry counts
    by the smaller of its two shares: constant scores recall k / n, and a configuration that a
    bootstrap drew twice agrees with itself. NaN entries are left out, and k is cut to the number
    of the others.

    Args:
        scores: (..., n), larger is better.
        reference: (..., n), larger is better.
        k: How many count as the top.

    Raises:
        ValueError: ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    missing = np.isnan(scores) | np.isnan(reference)
    count = (~missing).sum(axis=-1)
    size = np.minimum(k, count)
    x, y = np.where(missing, np.nan, scores), np.where(missing, np.nan, reference)
    hits = np.minimum(places(x, size), places(y, size)).sum(axis=-1)
    return np.asarray(hits / np.where(size > 0, size, np.nan))


def places(scores: Array, size: npt.NDArray[np.int64]) -> Array:
    """Each entry's share of a place among the best ``size`` of (..., n); ties share, NaN has none.

    Args:
        scores: Larger is better.
        size: Number of places, (...).
    """
    known = np.where(np.isnan(scores), -np.inf, scores)
    descending = -np.sort(-known, axis=-1)
    # Whoever is above the score at the edge has a place; those at the edge share what is left.
    edge = np.take_along_axis(descending, np.maximum(size, 1)[..., None] - 1, axis=-1)
    above, tied = scores > edge, scores == edge
    left = size[..., None] - above.sum(axis=-1, keepdims=True)
    share = left / np.maximum(tied.sum(axis=-1, keepdims=True), 1)
    return np.where(size[..., None] > 0, above + tied * share, 0.0)


def seed_mean(values: Array) -> Array:
    """Mean over seeds (..., C, S) -> (..., C) of what there is; -inf if any run was the worst."""
    counted = np.isfinite(values)
    count = counted.sum(axis=-1)
    total = np.where(counted, values, 0.0).sum(axis=-1)
    mean = total / np.where(count > 0, count, np.nan)
    return np.where(np.isneginf(values).any(axis=-1), -np.inf, mean)


def tau_of(cube: Array) -> Array:
    """Kendall's tau of seed-averaged scores, of cubes (..., 2 or 3, C, S)."""
    return kendall_tau(seed_mean(cube[..., 0, :, :]), seed_mean(cube[..., 1, :, :]))


def recall_of(cube: Array, k: int) -> Array:
    """Top-k recall of seed-averaged scores, of cubes (..., 2 or 3, C, S)."""
    return top_k_recall(seed_mean(cube[..., 0, :, :]), seed_mean(cube[..., 1, :, :]), k)
