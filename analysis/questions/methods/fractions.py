"""Which fraction is enough: the cheapest whose regret is within full training's own noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.questions.choice import choice_table
from analysis.questions.headline import paired_seconds, replays, seed_seconds
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import dataset_of, setting
from analysis.statistics.noise import regret_noise


def fraction_table(
    sweeps: Sequence[Results], *, level: float = 0.95, resamples: int = 2000, k: int = 3
) -> pd.DataFrame:
    """Every arm of every sweep with its fraction, what it cost and how well it chose.

    Args:
        sweeps: Results of each sweep.
        level: Nominal coverage of the intervals, in (0, 1).
        resamples: Bootstrap draws.
        k: The k of the top-k recall.

    Returns:
        ``sweep``, ``dataset``, ``selector``, ``fraction``, ``seconds`` (slot time on the pairs
        that full training ran too, the seed trials' own added where the arm replays), ``share`` (of
        full training's), the columns of :func:`choice_table`, ``noise`` (see
        :func:`regret_noise`); ``within`` the noise: ``yes``, ``no``, or ``unknown``
        where the noise is not known; and ``surely``, the same of the interval's upper limit.
    """
    options: dict[str, Any] = {"k": k, "level": level, "resamples": resamples}
    tables = [(results, choice_table(results, **options)) for results in sweeps]
    return pd.DataFrame(
        [row for results, table in tables for row in fraction_rows(results, table, level=level)]
    )


def fraction_rows(
    results: Results, choices: pd.DataFrame, *, level: float = 0.95
) -> list[dict[str, Any]]:
    """The rows of one sweep in :func:`fraction_table`.

    Args:
        results: The results of the sweep.
        choices: Its :func:`analysis.questions.choice.choice_table`.
        level: The level of the noise.
    """
    noise = regret_noise(results, level)
    rows: list[dict[str, Any]] = []
    for choice in choices.to_dict("records"):
        arm = str(choice["arm"])
        own = results.search[results.search["arm"] == arm]
        own = own[own["outcome"].isin(USABLE)]
        fractions = pd.to_numeric(setting(own, results.sweep, "fraction"), errors="coerce")
        fraction = float(fractions.iloc[0]) if fractions.nunique() == 1 else math.nan
        own_s, full_s, pairs = paired_seconds(results, arm)
        own_s += seed_seconds(results, arm) if replays(results, arm) else 0.0
        rows.append(
            {
                "sweep": results.name,
                "dataset": dataset_of(results.sweep),
                "selector": str(own["selector"].iloc[0]) if len(own) else arm,
                "fraction": fraction,
                "seconds": own_s,
                "share": own_s / full_s if pairs and full_s > 0 else math.nan,
                **choice,
                "noise": noise,
                "within": _below(choice["regret"], noise),
                "surely": _below(choice["regret_high"], noise),
            }
        )
    return rows


def _below(value: float, noise: float) -> str:
    if not (math.isfinite(value) and math.isfinite(noise)):
        return "unknown"
    return "yes" if value <= noise else "no"


def cheapest_fraction(table: pd.DataFrame) -> pd.DataFrame:
    """Per dataset and strategy, the smallest fraction from which on every regret is in the noise.

    A smaller fraction that was within the noise by luck, below one that was not, does not count.
    Only strategies that were tried at two fractions or more: one fraction is no choice. A strategy
    is an arm, or all arms of a selector that has one arm per fraction.

    Args:
        table: The result of :func:`fraction_table`.

    Returns:
        ``dataset``, ``strategy``, ``fraction`` (NaN where even the largest is not within the noise,
        or where the noise is not known), ``surely`` (the same of the upper limits of the paired
        bootstrap intervals: from there on even they are within the noise), ``tried`` (fractions, in
        words).
    """
    rows = []
    known = table.dropna(subset=["fraction"]) if len(table) else table
    if len(known):
        at = known.groupby(["dataset", "selector", "fraction"])["arm"].transform("nunique")
        crowded = at.groupby([known["dataset"], known["selector"]]).transform("max") > 1
        known = known.assign(strategy=known["arm"].where(crowded, known["selector"]))
    for key, own in known.groupby(["dataset", "strategy"], sort=False) if len(known) else []:
        fractions = sorted(own["fraction"].unique())
        if len(fractions) > 1:
            tried = ", ".join(f"{100 * f:g}%" for f in fractions)
            enough, surely = _enough(own, "within"), _enough(own, "surely")
            rows.append([*key, enough, surely, tried])
    return pd.DataFrame(rows, columns=["dataset", "strategy", "fraction", "surely", "tried"])


def _enough(own: pd.DataFrame, column: str) -> float:
    within = own.groupby("fraction")[column].agg(lambda v: (v == "yes").all()).sort_index()
    enough = math.nan
    for fraction in reversed(within.index.tolist()):
        if not within[fraction]:
            break
        enough = float(fraction)
    return enough
