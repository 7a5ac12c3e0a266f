"""Every arm against random subsets of the same size, the baseline that papers like to leave out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.results.load import Results
from analysis.statistics.bootstrap import Interval, mean_difference, paired_bootstrap
from analysis.statistics.cube import panel, shared
from analysis.words import arm_name, metric_value

RANDOM_ARMS = ("random_pb", "random", "uniform")
"""Random baselines, in the order in which they are taken where they are equally strong."""

BETTER, WORSE, NO_DIFFERENCE, UNKNOWN = "better", "worse", "no difference", "unknown"


def random_means(results: Results) -> dict[str, float]:
    """Mean test metric of each random baseline that ran, over what all of them finished.

    Returns:
        By arm, the strongest first; NaN where they share no configuration and seed.
    """
    ran = results.arms()
    arms = [arm for arm in RANDOM_ARMS if arm in ran]
    cube = shared(panel(results, "test", arms).values) if arms else np.empty((0, 0, 0))
    if not cube.size:
        return dict.fromkeys(arms, float("nan"))
    means = dict(zip(arms, (float(np.nanmean(own)) for own in cube), strict=True))
    return dict(sorted(means.items(), key=lambda item: -results.sign * item[1]))


def random_arm(results: Results) -> str | None:
    """The random baseline to compare with, or ``None`` where none ran.

    Where a sweep has several, it is the one with the best mean test metric: a method that beats the
    weaker one alone has shown nothing. Single examples drawn anew had 0.7 to 2.2 points more than
    whole batches on a tenth of digits and of MNIST, and no more than they on other fractions.
    """
    return next(iter(random_means(results)), None)


def random_choice(results: Results) -> str:
    """Why the random baseline is the one it is; empty where there was nothing to choose."""
    means = random_means(results)
    if len(means) < 2:
        return ""
    said = ", ".join(
        f"{arm_name(arm)} {metric_value(results, mean)}" for arm, mean in means.items()
    )
    names = list(means)
    if np.isnan(means[names[0]]):
        return f"Of the random arms {arm_name(names[0])} is taken: they finished nothing in common."
    metric = results.metric.replace("_", " ")
    return f"Of the random arms the strongest is the baseline (mean test {metric}: {said})."


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
    baseline = random_arm(results)
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
