"""What replayed searches lose and cost, with intervals over configurations and training seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.ladder.recorded import UNITS
from analysis.questions.ladder.replayed import Replay
from analysis.statistics.bootstrap import MIN_CONFIGURATIONS, Interval, resampled_units
from analysis.statistics.losses import (
    difference_limits,
    loss_limits,
    two_way_error,
    usual_ratio,
)

Array = npt.NDArray[np.float64]

COLUMNS = (
    *("strategy", "kind", "by", "cost_examples", "cost_seconds"),
    *("regret", "regret_low", "regret_high", "best_found", "draws", "seeds"),
)

_LEFT_OUT = 2  # draws without a configuration, below which nothing is said of its influence
_KEPT = 0.25  # of the pseudo-values' variance at the least, however few draws explain it


def replayed_table(replays: Sequence[Replay], *, level: float = 0.95) -> pd.DataFrame:
    """Mean regret and cost of each strategy over draws and training seeds.

    Args:
        replays: The replays of ``replay_all``.
        level: Nominal coverage of the intervals, see :func:`mean_interval`.

    Returns:
        ``strategy``, ``kind``, ``by``; ``cost_examples`` and ``cost_seconds``, shares of training
        all of the draw fully, seed trials included (NaN where not counted); ``regret`` with
        ``regret_low`` and ``regret_high``, ``best_found`` (share of replays in which the best was
        chosen), ``draws`` and ``seeds``.
    """
    least, rows = least_ratio(replays), []
    for r in replays:
        found = mean_interval(r.regret, r.members, least_ratio=least, level=level)
        costs = [r.mean_cost(unit) for unit in UNITS]
        limits = [found.estimate, found.low, found.high, float((r.regret == 0).mean())]
        rows.append([r.strategy, r.kind, r.by, *costs, *limits, *r.regret.shape])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def least_ratio(replays: Sequence[Replay]) -> float:
    """Variance over mean of what comparable strategies lose, for one that loses nothing.

    Args:
        replays: All strategies' on the same draws.
    """
    found = [(r, pseudo_values(r.regret, r.members)) for r in replays]
    known = [
        (float(r.regret.mean()), two_way_error(cells)[0]) for r, cells in found if cells is not None
    ]
    return usual_ratio([loss for loss, _ in known], [error for _, error in known])


def mean_interval(
    values: Array,
    members: npt.NDArray[np.bool_],
    *,
    losses: float | None = None,
    least_ratio: float = 0.0,
    level: float = 0.95,
) -> Interval:
    """The mean over draws and training seeds, with an interval over configurations and seeds.

    Draws share most of their configurations, so their spread says little of another sample of the
    space. What the space's luck does is seen by leaving a configuration out: the mean over the
    draws without it, for every configuration and seed, gives the jackknife's pseudo-values
    (Efron & Stein, 1981; for means over subsamples it is the infinitesimal jackknife of Wager,
    Hastie & Efron, 2014). The part of their spread that comes of few draws is taken off. The error
    of their mean over configurations and seeds gives the limits (``analysis.statistics.losses``).

    Args:
        values: The values of each replay, (D, S): regrets, or differences of two strategies'.
        members: Which configurations each draw holds, (D, C).
        losses: The sum of both mean regrets of differences; ``None`` says that these are regrets.
        least_ratio: The least variance over mean of regrets, see :func:`least_ratio`.
        level: Nominal coverage.

    Returns:
        The mean; without limits where there are too few draws or configurations to tell.
    """
    estimate = float(values.mean())
    pseudo = pseudo_values(values, members)
    if pseudo is None:
        return Interval(estimate, level=level)
    error, degrees = two_way_error(pseudo)
    if losses is None:
        low, high = loss_limits(
            estimate, error=error, degrees=degrees, least_ratio=least_ratio, level=level
        )
    else:
        low, high = difference_limits(
            estimate, losses, error=error, degrees=degrees, least_ratio=least_ratio, level=level
        )
    return Interval(estimate, low, high, level, resampled_units(*pseudo.shape))


def pseudo_values(values: Array, members: npt.NDArray[np.bool_]) -> Array | None:
    """The jackknife's pseudo-values (C, S) of the mean over draws; ``None`` of too few draws.

    ``mean + (C - 1) (mean - mean over the draws without c)``: their mean is the mean over draws,
    and the spread of their mean over configurations is that of the mean over samples of C.

    Args:
        values: The values of each replay, (D, S).
        members: Which configurations each draw holds, (D, C).
    """
    left_out = (~members).astype(float)
    count = left_out.sum(axis=0)[:, None]
    size = members.shape[1]
    if size < MIN_CONFIGURATIONS or count.min() < _LEFT_OUT:
        return None
    by_seed = values.mean(axis=0, keepdims=True)
    common = values.mean(axis=1, keepdims=True)

    def influence(part: Array) -> Array:
        """(C, 1 or S): pseudo-values about their mean, shrunk by what few draws add."""
        without = left_out.T @ part / count
        found = (size - 1) * (without.mean(axis=0) - without)
        squares = left_out.T @ part**2 / count - without**2
        noise = (size - 1) ** 2 * (squares / (count - 1)).mean()
        spread = (found**2).mean()
        kept = max(_KEPT, 1 - noise / spread) if spread > 0 else 1.0
        return np.asarray(found * math.sqrt(kept))

    return np.asarray(by_seed + influence(common) + influence(values - common))
