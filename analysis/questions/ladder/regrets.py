"""What replayed searches lose and cost, with intervals over configurations and training seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.ladder.recorded import UNITS
from analysis.questions.ladder.replayed import Replay
from analysis.statistics.bootstrap import Interval, resampled_units
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
        found = mean_interval(r.regret, r.pseudo, least_ratio=least, level=level)
        costs = [r.mean_cost(unit) for unit in UNITS]
        limits = [found.estimate, found.low, found.high, float((r.regret == 0).mean())]
        rows.append([r.strategy, r.kind, r.by, *costs, *limits, *r.regret.shape])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def least_ratio(replays: Sequence[Replay]) -> float:
    """Variance over mean of what comparable strategies lose, for one that loses nothing.

    Args:
        replays: All strategies' on the same draws.
    """
    known = [
        (float(r.regret.mean()), two_way_error(r.pseudo)[0])
        for r in replays
        if r.pseudo is not None
    ]
    return usual_ratio([loss for loss, _ in known], [error for _, error in known])


def mean_interval(
    values: Array,
    pseudo: Array | None,
    *,
    losses: float | None = None,
    least_ratio: float = 0.0,
    level: float = 0.95,
) -> Interval:
    """The mean over draws and training seeds, with an interval over configurations and seeds.

    Draws share most of their configurations, so their spread says little of another sample of the
    space. The error of the mean of the jackknife's pseudo-values over configurations and seeds
    gives the limits (``analysis.statistics.losses``).

    Args:
        values: The values of each replay, (D, S): regrets, or differences of two strategies'.
        pseudo: Their :func:`analysis.statistics.jackknife.pseudo_values`.
        losses: The sum of both mean regrets of differences; ``None`` says that these are regrets.
        least_ratio: The least variance over mean of regrets, see :func:`least_ratio`.
        level: Nominal coverage.

    Returns:
        The mean; without limits where there are too few draws or configurations to tell.
    """
    estimate = float(values.mean())
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
