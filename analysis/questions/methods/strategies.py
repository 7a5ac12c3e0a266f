"""Selection strategies by dataset, model and fraction (Killamsetty et al., A.3; Zhang et al.)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.cost import JOULES_PER_KWH
from analysis.questions.methods.targets import pareto_front
from analysis.results.known import first_known
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX, setting
from analysis.words import arm_name

GROUP = ["dataset", "model", "arm"]

COLUMNS = [
    *("sweep", "dataset", "model", "arm", "selector", "fraction", "select_every"),
    *("warm_start_epochs", "kappa", "configuration", "seed", "test", "seconds", "kwh"),
    *("gradient_error", "random_gradient_error", "never_used", "full_test", "full_seconds"),
    "speedup",
]


def strategy_frame(results: Results | Sequence[Results]) -> pd.DataFrame:
    """Every usable trial of one or more sweeps with what it was set to and what came of it.

    Returns:
        One row per trial: ``sweep`` (its name), ``dataset``, ``model`` (``several`` where the
        sweep's space varies it), ``arm``, ``selector``,
        ``fraction`` (1 for full training, of one that stops with a subset arm's seconds that
        arm's), ``select_every``, ``warm_start_epochs``, ``kappa``,
        ``configuration``, ``seed``; ``test`` (at the best validation value), ``seconds`` (train +
        select), ``kwh``; ``gradient_error`` and ``random_gradient_error`` (means over its
        own selections), ``never_used`` (share at the end); of the full run of the same
        configuration and seed ``full_test``, ``full_seconds`` and ``speedup`` over it.
    """
    sweeps = [results] if isinstance(results, Results) else list(results)
    names = sweep_names(sweeps)
    frames = [_of_one(s).assign(sweep=name) for s, name in zip(sweeps, names, strict=True)]
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def sweep_names(sweeps: Sequence[Results]) -> list[str]:
    """The sweeps' names; those that share one carry a number."""
    names = [sweep.name for sweep in sweeps]
    return [
        f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _of_one(results: Results) -> pd.DataFrame:
    trials = results.search[results.search["outcome"].isin(USABLE)]
    sweep = results.sweep

    def named(section: str, key: str, column: str) -> pd.Series:
        inner = sweep.get(section)
        default = inner.get(key) if isinstance(inner, dict) else None
        values = trials.get(PREFIX + column, pd.Series(None, index=trials.index, dtype=object))
        return first_known(values, default or "unnamed").astype(str)

    def number(name: str) -> pd.Series:
        return pd.to_numeric(setting(trials, sweep, name), errors="coerce").astype(float)

    full = trials["arm"] == "full"
    history = trials.get("history", pd.Series(None, index=trials.index, dtype=object))
    replays = history.fillna("").astype(str).ne("") & trials["arm"].ne("seed")
    epochs = results.epochs.groupby("trial_id")

    def over_epochs(column: str, how: str) -> pd.Series:
        if column not in results.epochs:
            return pd.Series(math.nan, index=trials.index)
        found = epochs[column].agg(how).reindex(trials["trial_id"])
        return found.set_axis(trials.index).astype(float)

    joules = pd.to_numeric(trials.get("energy_j", pd.Series(index=trials.index)), errors="coerce")
    frame = pd.DataFrame(
        {
            "sweep": results.name,
            "dataset": named("data", "name", "data/name"),
            "model": "several" if "model" in results.axes else named("train", "model", "model"),
            "arm": trials["arm"],
            "selector": trials["selector"],
            "fraction": _budgets(trials, number("fraction").where(~full, 1.0), sweep),
            "select_every": number("select_every").where(~full),
            "warm_start_epochs": number("warm_start_epochs").fillna(0.0).where(~full, 0.0),
            "kappa": number("kappa").where(~full),
            "configuration": trials["configuration"],
            "seed": trials["seed"],
            "test": trials["test"],
            "seconds": trials["seconds"],
            "kwh": joules / JOULES_PER_KWH,
            # A replay repeats what its seed's model had measured; its own model is another.
            "gradient_error": over_epochs("gradient_error", "mean").where(~replays),
            "random_gradient_error": over_epochs("random_gradient_error", "mean").where(~replays),
            "never_used": over_epochs("points_never_used", "last"),
        }
    )
    keys = ["configuration", "seed"]
    reference = frame.loc[frame["arm"] == "full", [*keys, "test", "seconds"]]
    reference = reference.groupby(keys, as_index=False).mean()
    reference = reference.rename(columns={"test": "full_test", "seconds": "full_seconds"})
    frame = frame.merge(reference, on=keys, how="left")
    positive = frame["seconds"].where(frame["seconds"] > 0)
    return frame.assign(speedup=frame["full_seconds"] / positive)[COLUMNS]


def _budgets(trials: pd.DataFrame, fractions: pd.Series, sweep: Mapping[str, Any]) -> pd.Series:
    """The budget that each trial stands for: the fraction it trains on.

    Full training that stops with the seconds of a subset arm (``match_seconds_of``) stands for
    that arm's fraction at the same configuration and seed, as in the papers' tables.
    """
    arms = [arm for arm in sweep.get("arms") or () if isinstance(arm, dict)]
    matched = {arm.get("name"): arm.get("match_seconds_of") for arm in arms}
    like = trials["arm"].map(lambda arm: matched.get(arm) or arm)
    cell = ["arm", "configuration", "seed"]
    known = trials[cell].assign(budget=fractions).drop_duplicates(cell)
    wanted = trials[cell].assign(arm=like).merge(known, on=cell, how="left")
    return wanted["budget"].set_axis(trials.index).fillna(fractions)


def by_fraction(frame: pd.DataFrame, value: str, how: str = "mean") -> pd.DataFrame:
    """A value by strategy and fraction, wide (Tables 2, 5, 8, 9 and 10).

    Args:
        frame: The result of :func:`strategy_frame`.
        value: One of its numeric columns; ``speedup`` is the ratio of the sums of seconds, as in
            the decision table, not a mean of ratios.
        how: ``mean`` over configurations, seeds and sweeps, or another aggregation.

    Returns:
        ``dataset``, ``model``, ``arm`` and a column per fraction, named as ``10%``; NaN where a
        strategy was not run or did not measure the value. Rows without any value are left out.
    """
    known = frame.dropna(subset=[value, "fraction"])
    if known.empty:
        return pd.DataFrame(columns=GROUP)

    def pivot(column: str, aggregation: str) -> pd.DataFrame:
        return known.pivot_table(
            index=GROUP, columns="fraction", values=column, aggfunc=aggregation, sort=False
        )

    if value == "speedup":
        table = pivot("full_seconds", "sum") / pivot("seconds", "sum")
    else:
        table = pivot(value, how)
    table = table[sorted(table.columns)]
    table.columns = [percent(fraction) for fraction in table.columns]
    return table.reset_index()


def percent(fraction: float) -> str:
    """A fraction as a column heading."""
    return f"{100 * fraction:g}%"


def seed_deviation(frame: pd.DataFrame) -> pd.DataFrame:
    """Standard deviation of the test metric over training seeds (Table 7), wide as above.

    Within a configuration (n - 1 in the denominator), pooled over configurations as the root of the
    mean variance weighted by degrees of freedom.
    """
    cell = ["sweep", *GROUP, "fraction", "configuration"]
    known = frame.dropna(subset=["fraction"])
    groups = known.groupby(cell, sort=False)["test"].agg(["var", "count"])
    groups = groups.dropna().reset_index()
    groups["degrees"] = groups["count"] - 1
    groups["squares"] = groups["var"] * groups["degrees"]
    sums = groups.groupby([*GROUP, "fraction"], sort=False)[["squares", "degrees"]].sum()
    deviation = np.sqrt(sums["squares"] / sums["degrees"]).rename("deviation").reset_index()
    return by_fraction(deviation, "deviation")


def scatter(frame: pd.DataFrame) -> pd.DataFrame:
    """Relative test error against speed-up, one point per strategy and fraction (Fig. 3).

    Relative test error is full training's test metric minus the strategy's, on the configurations
    and seeds that both ran; speed-up likewise, over the sums of their seconds.

    Returns:
        ``dataset``, ``model``, ``arm``, ``fraction``, ``select_every``, ``kappa``,
        ``warm_start_epochs``, ``relative_error``, ``speedup``, ``pairs`` and ``pareto`` (no other
        strategy of the dataset and model is at least as fast and as accurate, and better in one).
    """
    paired = frame.dropna(subset=["full_test", "full_seconds", "test", "seconds", "fraction"])
    paired = paired[(paired["arm"] != "full") & (paired["seconds"] > 0)]
    keys = [*GROUP, "selector", "fraction", "select_every", "kappa", "warm_start_epochs"]
    rows: list[dict[str, Any]] = []
    for key, cell in paired.groupby(keys, sort=False, dropna=False):
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "relative_error": float((cell["full_test"] - cell["test"]).mean()),
                "speedup": float(cell["full_seconds"].sum() / cell["seconds"].sum()),
                "pairs": len(cell),
            }
        )
    points = pd.DataFrame(rows, columns=[*keys, "relative_error", "speedup", "pairs"])
    points["pareto"] = False
    for _, group in points.groupby(["dataset", "model"]):
        best = pareto_front(-group["speedup"].to_numpy(), group["relative_error"].to_numpy())
        points.loc[group.index, "pareto"] = best
    return points


def ablation(points: pd.DataFrame, by: str) -> pd.DataFrame:
    """The points of :func:`scatter` for arms that vary in one setting (Fig. 4).

    Args:
        points: The result of :func:`scatter`.
        by: ``select_every``, ``kappa`` or ``warm_start_epochs``.

    Returns:
        Only selectors that take two values of ``by`` or more at a fraction of a dataset and model;
        ``family`` names the selector, and the fraction where fractions differ.
    """
    keys = ["dataset", "model", "selector", "fraction"]
    distinct = points.groupby(keys)[by].transform(lambda values: values.nunique(dropna=True))
    chosen = points[(distinct > 1) & points[by].notna()].reset_index(drop=True)
    family = chosen["selector"].map(arm_name)
    if chosen["fraction"].nunique() > 1:
        family = family + ", " + chosen["fraction"].map(percent)
    return chosen.assign(family=family)


def complete_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Only configurations and seeds on which every arm of the sweep (but its seed) has a result.

    A mean over all trials would favour an arm whose bad configurations diverged.
    """
    frame = frame[frame["arm"] != "seed"]
    arms = frame.groupby("sweep")["arm"].transform("nunique")
    present = frame.groupby(["sweep", "configuration", "seed"])["arm"].transform("nunique")
    return frame[present == arms].reset_index(drop=True)


def average_ranks(frame: pd.DataFrame, *, larger_is_better: bool = True) -> pd.DataFrame:
    """Average rank of each strategy over fractions (Zhang et al., Table 3).

    At each fraction the strategies' mean test metrics are ranked, 1 for the best, ties sharing
    their mean rank; full training takes part at every fraction with its one value, as the paper's
    benchmark does. Ranks are averaged over the fractions at which every strategy ran.

    Returns:
        Long: ``dataset``, ``model``, ``arm``, ``rank`` (NaN where no fraction saw every strategy),
        ``test`` (mean over the ranked fractions, their Table 4), ``fractions`` (how many),
        ``tried`` (how many any strategy ran at), ``missing`` (fractions left out, in words).
    """
    rows: list[list[Any]] = []
    for (dataset, model), group in frame.groupby(["dataset", "model"], sort=False):
        table = group.pivot_table(index="arm", columns="fraction", values="test", sort=False)
        tried = sorted(c for c in table.columns if c < 1.0)
        if "full" in table.index:
            table.loc["full", tried] = table.loc["full"].max()
        subset = table.reindex(columns=tried).loc[lambda t: t.notna().any(axis=1)]
        complete = [c for c in tried if subset[c].notna().all()]
        if len(subset) < 2:
            continue
        ranks = subset[complete].rank(ascending=not larger_is_better)
        missing = ", ".join(percent(c) for c in tried if c not in complete)
        for arm in subset.index:
            means = [float(ranks.loc[arm].mean()), float(subset.loc[arm, complete].mean())]
            rows.append([dataset, model, arm, *means, len(complete), len(tried), missing])
    columns = ["dataset", "model", "arm", "rank", "test", "fractions", "tried", "missing"]
    return pd.DataFrame(rows, columns=columns)
