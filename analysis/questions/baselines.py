"""Every arm against random subsets of the same size, the baseline that papers like to leave out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.load import Results
from analysis.statistics.bootstrap import Interval, mean_difference, paired_bootstrap
from analysis.statistics.cube import panel, shared

RANDOM_ARMS = ("random_pb", "random", "uniform")
"""Random baselines, the fairest first: batches like the replay's own."""

BETTER, WORSE, NO_DIFFERENCE, UNKNOWN = "better", "worse", "no difference", "unknown"


def random_arm(arms: Sequence[str]) -> str | None:
    """The random baseline among some arms, or ``None``."""
    return next((arm for arm in RANDOM_ARMS if arm in arms), None)


def outcome_of(interval: Interval) -> str:
    """What an interval of a difference says, positive being better."""
    if not interval.known:
        return UNKNOWN
    if interval.low > 0:
        return BETTER
    return WORSE if interval.high < 0 else NO_DIFFERENCE


def against_random(results: Results, *, level: float = 0.95, resamples: int = 2000) -> pd.DataFrame:
    """Mean paired difference of the test metric, each subset arm minus the random baseline.

    Args:
        results: Of the sweep.
        level: Nominal coverage of the intervals, in (0, 1).
        resamples: Bootstrap draws.

    Returns:
        ``arm``, ``baseline``, ``difference`` (signed so that positive is better), ``low``,
        ``high``, ``outcome``, ``pairs`` (of configuration and seed that both finished),
        ``resampled``; empty without a random arm. The seed, full training and the baseline itself
        are left out.
    """
    columns = ["arm", "baseline", "difference", "low", "high", "outcome", "pairs", "resampled"]
    baseline = random_arm(results.arms())
    rows = []
    for arm in results.arms() if baseline is not None else []:
        if arm in ("seed", "full", baseline):
            continue
        cube = shared(panel(results, "test", [arm, str(baseline)]).values) * results.sign
        if not cube.size:
            continue
        found = paired_bootstrap(mean_difference, cube, level=level, resamples=resamples)
        pairs = int((~pd.isna(cube[0])).sum())
        limits = [found.estimate, found.low, found.high]
        rows.append([arm, baseline, *limits, outcome_of(found), pairs, found.resampled])
    return pd.DataFrame(rows, columns=columns)
