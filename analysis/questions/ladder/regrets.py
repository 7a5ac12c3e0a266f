"""What replayed searches lose and cost, with intervals over configurations and training seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.ladder.recorded import UNITS
from analysis.questions.ladder.replayed import Replay
from analysis.statistics.bootstrap import MIN_CONFIGURATIONS, Interval, paired_bootstrap

Array = npt.NDArray[np.float64]

COLUMNS = (
    *("strategy", "kind", "by", "cost_examples", "cost_seconds"),
    *("regret", "regret_low", "regret_high", "best_found", "draws", "seeds"),
)

_LEFT_OUT = 2  # draws without a configuration, below which nothing is said of its influence
_KEPT = 0.25  # of the pseudo-values' variance at the least, however few draws explain it


def replayed_table(
    replays: Sequence[Replay], *, level: float = 0.95, resamples: int = 1000
) -> pd.DataFrame:
    """Mean regret and cost of each strategy over draws and training seeds.

    Args:
        replays: The replays of ``replay_all``.
        level: Nominal coverage of the intervals, see :func:`mean_interval`.
        resamples: The resamples of their bootstrap.

    Returns:
        ``strategy``, ``kind``, ``by``; ``cost_examples`` and ``cost_seconds``, shares of training
        all of the draw fully, seed trials included (NaN where not counted); ``regret`` with
        ``regret_low`` and ``regret_high``, ``best_found`` (share of replays in which the best was
        chosen), ``draws`` and ``seeds``.
    """
    rows = []
    for r in replays:
        found = mean_interval(r.regret, r.members, level=level, resamples=resamples, least=0.0)
        costs = [r.mean_cost(unit) for unit in UNITS]
        limits = [found.estimate, found.low, found.high, float((r.regret == 0).mean())]
        rows.append([r.strategy, r.kind, r.by, *costs, *limits, *r.regret.shape])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def mean_interval(
    values: Array,
    members: npt.NDArray[np.bool_],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    least: float = -math.inf,
) -> Interval:
    """The mean over draws and training seeds, with an interval over configurations and seeds.

    Draws share most of their configurations, so their spread says little of another sample of the
    space. What the space's luck does is seen by leaving a configuration out: the mean over the
    draws without it, for every configuration and seed, gives the jackknife's pseudo-values
    (Efron & Stein, 1981; for means over subsamples it is the infinitesimal jackknife of Wager,
    Hastie & Efron, 2014), and these are resampled by the paired bootstrap like any other cells of
    configurations and seeds. The part of their spread that comes of few draws is taken off.

    Args:
        values: The values of each replay, (D, S).
        members: Which configurations each draw holds, (D, C).
        level: Nominal coverage.
        resamples: The resamples of the bootstrap.
        least: What no value is below.

    Returns:
        The mean; without limits where there are too few draws or configurations to tell.
    """
    estimate = float(values.mean())
    pseudo = pseudo_values(values, members)
    if pseudo is None:
        return Interval(estimate, level=level)
    bounds = (least, math.inf)
    found = paired_bootstrap(_mean, pseudo[None], level=level, resamples=resamples, bounds=bounds)
    return Interval(estimate, found.low, found.high, level, found.resampled)


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


def _mean(cube: Array) -> Array:
    return np.asarray(cube[..., 0, :, :].mean(axis=(-2, -1)))
