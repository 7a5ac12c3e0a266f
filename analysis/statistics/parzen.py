"""A learning searcher on a finite set of points: the tree-structured Parzen estimator's choice.

Bergstra et al., 2011, as Optuna's ``TPESampler`` sets it: the best tenth of what has ended against
the rest, one Gaussian kernel per point beside a flat prior, and next the candidate at which the
first density is largest relative to the second. Where Optuna draws candidates from the space, here
they are the points that were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STARTUP = 10
"""Points that come before the first learned one; Optuna's ``n_startup_trials``."""

_SPREAD, _LEAST_SPREAD = 0.2, 0.05  # standard deviations of kernels; axes are one long


def encoded(columns: Mapping[str, Sequence[Any]]) -> Array:
    """Points (n, D) of a space in [0, 1]: numbers scaled, anything else a coordinate per value.

    Numbers that are positive and differ more than tenfold are scaled by their logarithms, as
    their axes are usually drawn.

    Args:
        columns: The n values of each axis.
    """
    parts: list[Array] = []
    for values in columns.values():
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) == len(values) and np.isfinite(numbers).all():
            parts.append(_scaled(np.asarray(numbers, dtype=float))[:, None])
            continue
        names = [str(v) for v in values]
        # Two different values are as far apart as the two ends of an axis of numbers.
        levels = sorted(set(names))
        one_hot = np.array([[name == level for level in levels] for name in names], dtype=float)
        parts.append(one_hot / math.sqrt(2))
    return np.concatenate(parts, axis=1) if parts else np.empty((0, 0))


def parzen_next(
    waiting: Sequence[int], ended: Mapping[int, float], points: Array, *, startup: int = STARTUP
) -> int:
    """Which of the points that wait comes next: the first ones as they stand, then as learned.

    Args:
        waiting: Indices of points that have not been tried.
        ended: The last score of each that has ended, by index, larger is better.
        points: All points, (n, D).
        startup: How many must have ended before anything is learned.
    """
    if len(ended) < max(startup, 2) or not points.size:
        return waiting[0]
    order = sorted(ended, key=lambda number: -ended[number])
    good = math.ceil(0.1 * len(order))
    candidates = points[list(waiting)]
    gain = _log_density(candidates, points[order[:good]])
    gain = gain - _log_density(candidates, points[order[good:]])
    return waiting[int(gain.argmax())]


def _scaled(values: Array) -> Array:
    if values.min() > 0 and values.max() > 10 * values.min():
        values = np.log(values)
    width = values.max() - values.min()
    return (values - values.min()) / width if width > 0 else np.zeros_like(values)


def _log_density(at: Array, centres: Array) -> Array:
    """Log of the mean of a flat prior and Gaussian kernels, at m places: (m,).

    The width of the kernels falls with their number, as in Scott's rule.
    """
    count, dimensions = centres.shape
    spread = max(_SPREAD * count ** (-1 / (dimensions + 4)), _LEAST_SPREAD)
    squares = ((at[:, None, :] - centres[None]) ** 2).sum(axis=-1)
    kernels = np.exp(-squares / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi)) ** dimensions
    return np.asarray(np.log((kernels.sum(axis=1) + 1.0) / (count + 1)))
