"""Where a difference between two arms turns round: a mean over an axis may hide that it does.

Big Loss is ahead of random subsets at a fraction of 0.3 and far behind at 0.1; on clean labels
ahead, behind with a fifth of them wrong. A mean over the axis is then one number for two answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.questions.axes import independent_axes, ordered
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX, label_of
from analysis.words import axis_name, difference

FEWEST = 3
"""Pairs that must agree at a value. By chance alone three of them do so in one case of four."""


@dataclass(frozen=True)
class Turn:
    """An axis along which one arm is better than another at some values, and worse at others.

    Attributes:
        axis: The key of the space, in short.
        better: Mean paired difference, positive, by value: those at which every pair of
            configuration and seed is better.
        worse: Likewise, those at which every pair is worse.
    """

    axis: str
    better: dict[str, float]
    worse: dict[str, float]

    def said(self, results: Results) -> str:
        """In words: ``+1.68 pp at fraction = 0.3, -8.05 pp at 0.1, in every pair``."""
        means = self.better | self.worse
        named = [f"{self.axis} = {next(iter(means))}", *list(means)[1:]]
        parts = [
            f"{difference(results, mean)} at {where}"
            for where, mean in zip(named, means.values(), strict=True)
        ]
        return f"{', '.join(parts)}, in every pair"


def turn_of(results: Results, arm: str, baseline: str) -> Turn | None:
    """The first axis along which the difference of two arms turns round, if there is one.

    What is said is what the pairs show, not that chance cannot have done it: a value has as many
    pairs as the sweep has training seeds and values of its other axes.

    Args:
        results: The results of the sweep.
        arm: The arm asked about.
        baseline: The arm to compare with it.
    """
    gaps = _gaps(results, arm, baseline)
    if gaps.empty:
        return None
    points = results.search.drop_duplicates("configuration").set_index("configuration")
    for axis in independent_axes(results):
        values = points[PREFIX + axis].dropna().map(label_of)
        at = gaps.index.get_level_values("configuration").map(values)
        found = gaps.groupby(at).agg(["mean", "min", "max", "size"])
        found = found[found["size"] >= FEWEST]
        order = ordered(list(found.index))
        better = {v: float(found.at[v, "mean"]) for v in order if found.at[v, "min"] > 0}
        worse = {v: float(found.at[v, "mean"]) for v in order if found.at[v, "max"] < 0}
        if better and worse:
            return Turn(axis_name(axis), better, worse)
    return None


def _gaps(results: Results, arm: str, baseline: str) -> pd.Series:
    """How much better the arm is, by configuration and seed that both finished."""
    trials = results.search[results.search["outcome"].isin(USABLE)]
    keys = ["arm", "configuration", "seed"]
    tests = trials.groupby(keys)["test"].mean().dropna()
    known = tests.index.get_level_values("arm")
    if arm not in known or baseline not in known:
        return pd.Series(dtype=float)
    return (results.sign * (tests[arm] - tests[baseline])).dropna()
