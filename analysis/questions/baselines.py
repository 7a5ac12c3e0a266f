"""Every arm against random subsets of the same size, the baseline that papers like to leave out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.results.load import Results
from analysis.results.settings import setting
from analysis.statistics.bootstrap import Interval, mean_difference, paired_bootstrap
from analysis.statistics.cube import panel, shared
from analysis.words import arm_name, metric_value

RANDOM_ARMS = ("random_pb", "random", "uniform")
"""Selectors of random subsets, in the order in which they are taken where equally strong."""

BETTER, WORSE, NO_DIFFERENCE, UNKNOWN = "better", "worse", "no difference", "unknown"


def random_arms(results: Results, beside: str | None = None) -> list[str]:
    """The arms that train on random subsets, whatever they are called.

    Args:
        results: The results of the sweep.
        beside: Only those whose subsets are of this arm's size; of any size by default.

    Returns:
        Names in the order of ``RANDOM_ARMS``, then of the sweep.
    """
    trials = results.search.assign(size=setting(results.search, results.sweep, "fraction"))
    sizes = trials.groupby("arm", sort=False)["size"].agg(lambda own: frozenset(own.dropna()))
    selectors = trials.groupby("arm", sort=False)["selector"].first().astype(str)
    found = [
        str(arm)
        for arm, selector in selectors.items()
        if selector in RANDOM_ARMS and (beside is None or sizes[arm] == sizes[beside])
    ]
    return sorted(found, key=lambda arm: RANDOM_ARMS.index(selectors[arm]))


def random_means(results: Results, beside: str | None = None) -> dict[str, float]:
    """Mean test metric of each random baseline that ran, over what all of them finished.

    Args:
        results: The results of the sweep.
        beside: The arm beside it, as in ``random_arms``.

    Returns:
        By arm, the strongest first; NaN where they share no configuration and seed.
    """
    arms = random_arms(results, beside)
    cube = shared(panel(results, "test", arms).values) if arms else np.empty((0, 0, 0))
    if not cube.size:
        return dict.fromkeys(arms, float("nan"))
    means = dict(zip(arms, (float(np.nanmean(own)) for own in cube), strict=True))
    return dict(sorted(means.items(), key=lambda item: -results.sign * item[1]))


def random_arm(results: Results, beside: str | None = None) -> str | None:
    """The random baseline to compare with, or ``None`` where none ran.

    Where a sweep has several, it is the one with the best mean test metric: a method that beats the
    weaker one alone has shown nothing. Single examples drawn anew had 0.7 to 2.2 points more than
    whole batches on a tenth of digits and of MNIST, and no more than they on other fractions.

    Args:
        results: The results of the sweep.
        beside: The arm to compare with it, whose subsets are of the same size.
    """
    return next(iter(random_means(results, beside)), None)


def random_choice(results: Results, beside: str | None = None) -> str:
    """Why the random baseline is the one it is; empty where there was nothing to choose."""
    means = random_means(results, beside)
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
    """Mean paired difference of the test metric, each subset arm minus random ones of its size.

    Args:
        results: The results of the sweep.
        level: Nominal coverage of the intervals, in (0, 1).
        resamples: Bootstrap draws.

    Returns:
        ``arm``, ``baseline``, ``difference`` (signed so that positive is better), ``low``,
        ``high``, ``outcome``, ``pairs`` (of configuration and seed that both finished),
        ``resampled``. The seed, full training, the baselines themselves and arms without a random
        one of their size are left out.
    """
    columns = ["arm", "baseline", "difference", "low", "high", "outcome", "pairs", "resampled"]
    rows = []
    for arm in results.arms():
        baseline = None if arm in ("seed", "full") else random_arm(results, arm)
        if baseline in (None, arm):
            continue
        cube = shared(panel(results, "test", [arm, str(baseline)]).values) * results.sign
        if not cube.size:
            continue
        found = paired_bootstrap(mean_difference, cube, level=level, resamples=resamples)
        pairs = int((~pd.isna(cube[0])).sum())
        limits = [found.estimate, found.low, found.high]
        rows.append([arm, baseline, *limits, outcome_of(found), pairs, found.resampled])
    return pd.DataFrame(rows, columns=columns)
