"""Which fraction is enough: the cheapest whose regret is within full training's own noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from scipy import stats

from analysis.anytime import full_noise
from analysis.headline import paired_seconds, replays, seed_seconds
from analysis.load import Results
from analysis.outcomes import USABLE
from analysis.ranking import choice_table
from analysis.settings import dataset_of, setting


def regret_noise(results: Results, level: float = 0.95) -> float:
    """Regret that repeated full training would show between two equal configurations.

    t_(1 + level)/2 s sqrt(2 / S), with s of :func:`analysis.anytime.full_noise` and S the seeds of
    full training; NaN with a single seed.
    """
    deviation, degrees = full_noise(results)
    seeds = results.search.loc[results.search["arm"] == "full", "seed"].nunique()
    if not degrees:
        return math.nan
    return float(stats.t.ppf((1 + level) / 2, degrees)) * deviation * math.sqrt(2 / seeds)


def fraction_table(
    sweeps: Sequence[Results], *, level: float = 0.95, resamples: int = 2000, k: int = 3
) -> pd.DataFrame:
    """Every arm of every sweep with its fraction, what it cost and how well it chose.

    Returns:
        ``sweep``, ``dataset``, ``arm``, ``fraction``, ``seconds`` (train + select on the pairs that
        full training ran too, the seed trials' own added where the arm replays), ``share`` (of full
        training's), the columns of :func:`analysis.ranking.choice_table`, ``noise`` (see
        :func:`regret_noise`) and ``within`` (``yes``, ``no``, or ``unknown`` where the noise is not
        known or the arm mixes fractions).
    """
    rows: list[dict[str, Any]] = []
    for results in sweeps:
        noise = regret_noise(results, level)
        choices = choice_table(results, k=k, level=level, resamples=resamples)
        for choice in choices.to_dict("records"):
            arm = str(choice["arm"])
            own = results.search[results.search["arm"] == arm]
            own = own[own["outcome"].isin(USABLE)]
            fractions = pd.to_numeric(setting(own, results.sweep, "fraction"), errors="coerce")
            fraction = float(fractions.iloc[0]) if fractions.nunique() == 1 else math.nan
            own_s, full_s, pairs = paired_seconds(results, arm)
            own_s += seed_seconds(results, arm) if replays(results, arm) else 0.0
            known = math.isfinite(noise) and math.isfinite(choice["regret"])
            rows.append(
                {
                    "sweep": results.name,
                    "dataset": dataset_of(results.sweep),
                    "fraction": fraction,
                    "seconds": own_s,
                    "share": own_s / full_s if pairs and full_s > 0 else math.nan,
                    **choice,
                    "noise": noise,
                    "within": ("yes" if choice["regret"] <= noise else "no")
                    if known
                    else "unknown",
                }
            )
    return pd.DataFrame(rows)


def cheapest_fraction(table: pd.DataFrame) -> pd.DataFrame:
    """Per dataset and arm, the smallest fraction from which on every regret is within the noise.

    A smaller fraction that was within the noise by luck, below one that was not, does not count.

    Args:
        table: Of :func:`fraction_table`.

    Returns:
        ``dataset``, ``arm``, ``fraction`` (NaN where even the largest is not within the noise, or
        where the noise is not known), ``tried`` (fractions, in words).
    """
    rows = []
    known = table.dropna(subset=["fraction"]) if len(table) else table
    for (dataset, arm), own in known.groupby(["dataset", "arm"], sort=False) if len(known) else []:
        within = own.groupby("fraction")["within"].agg(lambda v: (v == "yes").all()).sort_index()
        enough = math.nan
        for fraction in reversed(within.index.tolist()):
            if not within[fraction]:
                break
            enough = float(fraction)
        tried = ", ".join(f"{100 * f:g}%" for f in within.index)
        rows.append({"dataset": dataset, "arm": arm, "fraction": enough, "tried": tried})
    return pd.DataFrame(rows, columns=["dataset", "arm", "fraction", "tried"])
