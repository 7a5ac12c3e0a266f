"""Regret of what a search would name, against what it has spent: replayed, and as it ran."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.questions.ladder.replayed import LADDER, PATH, RIVAL, Replay

MOST_LADDERS = 3
"""Curves of ladders that are drawn; of more, none could be followed."""

COLUMNS = ("strategy", "by", "unit", "cost", "regret", "low", "high")


def regret_curves(replays: Sequence[Replay]) -> pd.DataFrame:
    """Mean regret of the configuration that each search holds for best, by what it has spent.

    The ladder as the sweep sets it, and beside it, by the sum of ranks, those of least regret, up
    to ``MOST_LADDERS`` in all; rivals by the metric, as their users run them.

    Args:
        replays: The replays of all strategies on the same draws.

    Returns:
        ``strategy``, ``by``, ``unit`` and ``cost`` (share of training all), ``regret`` with
        ``low`` and ``high``, the range over training seeds. A curve begins where every replay
        holds something for best, and ends where the longest one has.
    """
    rows: list[dict[str, object]] = []
    for replay in drawn(replays):
        longest = float(replay.cost[replay.unit].max())
        by_seed = replay.path.mean(axis=1)  # (G, S); NaN as long as one replay has nothing
        for cost, values in zip(PATH, by_seed, strict=True):
            if np.isnan(values).any() or cost > 1.1 * longest:
                continue
            row = {"strategy": replay.strategy, "by": replay.by, "unit": replay.unit}
            limits = {"low": float(values.min()), "high": float(values.max())}
            rows.append(row | {"cost": cost, "regret": float(values.mean())} | limits)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def drawn(replays: Sequence[Replay]) -> list[Replay]:
    """The replays of which curves are drawn, ladders first."""
    known = [r for r in replays if len(r.path)]
    ladders = [r for r in known if r.kind == LADDER]
    by = "both" if any(r.by == "both" for r in ladders) else "metric"
    usual = [r for r in ladders if r.own or r.by == by]
    usual.sort(key=lambda r: (not r.own, float(r.regret.mean())))
    return [*usual[:MOST_LADDERS], *(r for r in known if r.kind == RIVAL)]
