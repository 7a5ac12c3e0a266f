"""Intervals of mean losses that are seldom anything but zero, and of their differences.

What a search loses by its choice is zero where it finds the best, and else a jump. The mean of few
such losses and its standard error are small together: a search that happened to lose little seems
to be known best. Limits of estimate plus and minus t errors (or percentiles of a bootstrap, which
are the same) then hold the mean loss in 78 to 92% of samples where they say 95%, and are too low
whenever they do not. The remedy is Wilson's (1927) for rare events: the variance of a mean of jumps
is in proportion to the mean, so the upper limit is judged by the variance that it would have
itself. Differences of losses, which are not bound to zero, need a sound error alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

_LOWER_QUARTILE = 0.25


def two_way_error(cells: Array) -> tuple[float, float]:
    """Standard error and degrees of freedom of the mean of cells of configurations and seeds.

    Both are taken for samples. With row effects a, column effects b and noise e the variance is
    ``var(a) / C + var(b) / S + var(e) / CS``, which the means of rows and columns count the noise
    twice in; the degrees of freedom are Satterthwaite's.

    Args:
        cells: Float64 (C, S), at least two rows.
    """
    c, s = cells.shape
    rows = float(cells.mean(axis=1).var(ddof=1)) / c
    if s == 1:
        return math.sqrt(rows), c - 1.0
    means = cells.mean(axis=1, keepdims=True) + cells.mean(axis=0, keepdims=True) - cells.mean()
    noise = float(((cells - means) ** 2).sum()) / ((c - 1) * (s - 1)) / (c * s)
    columns = float(cells.mean(axis=0).var(ddof=1)) / s
    total = rows + max(0.0, columns - noise)
    spread = rows**2 / (c - 1) + columns**2 / (s - 1) + noise**2 / ((c - 1) * (s - 1))
    return math.sqrt(total), total**2 / spread if spread > 0 else c - 1.0


def usual_ratio(losses: Iterable[float], errors: Iterable[float]) -> float:
    """Variance over mean of comparable losses, at the low end: what one that lost nothing has.

    Args:
        losses: Mean losses of several searches on the same samples.
        errors: Their standard errors, in the same order.

    Returns:
        The lower quartile over those that lost something; 0 where none did.
    """
    ratios = [error**2 / loss for loss, error in zip(losses, errors, strict=True) if loss > 0]
    return float(np.quantile(ratios, _LOWER_QUARTILE)) if ratios else 0.0


def loss_limits(
    loss: float,
    *,
    error: float,
    degrees: float,
    least_ratio: float = 0.0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Limits of a mean loss, which is never negative.

    The lower one is Student's, and not below zero. The upper one is at least Wilson's: the u of
    ``u - loss = z sqrt(ratio u)``, with the variance in proportion to the limit itself.

    Args:
        loss: What was seen.
        error: Its standard error.
        degrees: The degrees of freedom of the error.
        least_ratio: Variance over mean at the least, see :func:`usual_ratio`: of a loss that was
            never seen its own error says nothing.
        level: Nominal coverage.

    Returns:
        The lower and the upper limit.
    """
    reach = _student(level, degrees) * error
    ratio = max(error**2 / loss if loss > 0 else 0.0, least_ratio)
    half = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(ratio) / 2
    wilson = (half + math.sqrt(half**2 + loss)) ** 2
    return max(0.0, loss - reach), max(loss + reach, wilson)


def difference_limits(
    difference: float,
    losses: float,
    *,
    error: float,
    degrees: float,
    least_ratio: float = 0.0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Limits of a difference of two mean losses: Student's, with the usual error at the least.

    Args:
        difference: One mean loss minus another.
        losses: Their sum.
        error: Standard error of the difference.
        degrees: The degrees of freedom of the error.
        least_ratio: Variance over mean of losses at the least, see :func:`usual_ratio`.
        level: Nominal coverage.

    Returns:
        The lower and the upper limit.
    """
    reach = _student(level, degrees) * math.sqrt(max(error**2, least_ratio * losses))
    return difference - reach, difference + reach


def _student(level: float, degrees: float) -> float:
    return float(stats.t.ppf((1 + level) / 2, degrees))
