"""How much full training differs from itself: the noise that a cheap sweep is measured against."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.statistics.cube import panel
from analysis.statistics.ranking import kendall_tau, seed_mean

BEST = 3
"""Configurations whose repeated runs make the noise: full training's own best."""


def seed_ceiling(results: Results) -> pd.DataFrame:
    """How well repeated full training agrees with itself: tau of each seed with the others' mean.

    No subset can be expected to rank better than this. One row per seed: ``seed``, ``tau``; empty
    with a single seed.
    """
    cube = panel(results, "val", ["full"], worst=-results.sign * math.inf)["full"] * results.sign
    rows = []
    for number in range(cube.shape[1] if cube.shape[1] > 1 else 0):
        others = seed_mean(np.delete(cube, number, axis=1))
        rows.append({"seed": number, "tau": float(kendall_tau(cube[:, number], others))})
    return pd.DataFrame(rows, columns=["seed", "tau"]).astype({"tau": float})


def full_noise(results: Results, best: int | None = BEST) -> tuple[float, int]:
    """Noise of repeated full training: pooled standard deviation of its test metric over seeds.

    A choice is between good configurations, so only full training's best count: one configuration
    that trains with some seeds and not with others would make every regret look like noise.

    Args:
        results: The results of one sweep.
        best: How many configurations, by full training's validation metric averaged over seeds;
            ``None`` for all.

    Returns:
        The standard deviation within configurations and its degrees of freedom; NaN and 0 where no
        such configuration was fully trained with two seeds.
    """
    full = results.search
    full = full[(full["arm"] == "full") & full["outcome"].isin(USABLE)]
    scores = (results.sign * full["val"]).groupby(full["configuration"]).mean()
    ranked = scores.sort_values(ascending=False, kind="stable").index
    full = full[full["configuration"].isin(ranked[:best])]
    groups = full.groupby("configuration")["test"]
    degrees = int((groups.count() - 1).clip(lower=0).sum())
    if degrees < 1:
        return math.nan, 0
    # Pooled over configurations: each has lost one degree of freedom to its own mean.
    squares = float(((full["test"] - groups.transform("mean")) ** 2).sum())
    return math.sqrt(squares / degrees), degrees


def regret_noise(results: Results, level: float = 0.95) -> float:
    """Regret that repeated full training would show between two equal configurations.

    t_(1 + level)/2 s sqrt(2 / S), with s of :func:`full_noise` and S the seeds of full training;
    NaN with a single seed.
    """
    deviation, degrees = full_noise(results)
    seeds = results.search.loc[results.search["arm"] == "full", "seed"].nunique()
    if not degrees:
        return math.nan
    return float(stats.t.ppf((1 + level) / 2, degrees)) * deviation * math.sqrt(2 / seeds)
