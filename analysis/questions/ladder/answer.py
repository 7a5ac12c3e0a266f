"""What the sweep chose and what that cost, beside what each rival chose for its price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.questions.baselines import (
    BETTER,
    NO_DIFFERENCE,
    UNKNOWN,
    WORSE,
    outcome_of,
)
from analysis.results.known import first_known
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX
from analysis.statistics.bootstrap import Interval
from analysis.words import axis_values, difference, metric_value, seconds, strategy_name

OWN = "ladder"
"""The strategy that is the sweep's own; without it, the first that ran."""

SAME = "the same configuration"

COLUMNS = (
    *("strategy", "configuration", "point", "test", "wall_s", "slot_s", "trials"),
    *("difference", "low", "high", "seeds", "outcome"),
)


def answer_table(results: Results, *, level: float = 0.95) -> pd.DataFrame:
    """A row per strategy of the sweep, its own first.

    Args:
        results: The results of a sweep with ``strategies.parquet``.
        level: Coverage of the intervals.

    Returns:
        ``strategy``, ``configuration`` (-1 where it chose none) and ``point`` (its values, in
        words), ``test`` (its test metric), ``wall_s`` (waited), ``slot_s`` (all its trials'),
        ``trials``; ``difference`` of the own choice to this one in the test metric, signed so that
        positive says that the own one is better, with ``low`` and ``high`` (see
        :func:`paired_interval`), ``seeds`` and ``outcome`` in words. Empty without strategies.
    """
    strategies = results.strategies
    if not len(strategies):
        return pd.DataFrame(columns=list(COLUMNS))
    names = names_of(strategies)
    names.sort(key=lambda name: name != OWN)  # stable: the rivals keep their order
    by_name = strategies.assign(strategy=strategies["strategy"].astype(str))
    by_name = by_name.set_index("strategy")
    own = _chosen(by_name, names[0])
    rows: list[dict[str, Any]] = []
    for name in names:
        chosen = _chosen(by_name, name)
        mine = results.trials[strategies_of(results) == name]
        row: dict[str, Any] = {
            "strategy": name,
            "configuration": chosen,
            "point": _point(results, chosen),
            "test": _test(results, by_name, name),
            "wall_s": float(by_name["wall_s"].get(name, math.nan)),
            "slot_s": float(mine["slot_s"].sum(min_count=1)),
            "trials": len(mine),
        }
        rows.append(row | _against(results, own, chosen, name == names[0], level))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def names_of(strategies: pd.DataFrame) -> list[str]:
    """The strategies' names, in the order in which they ran."""
    return [str(name) for name in strategies["strategy"]]


def paired_interval(differences: Sequence[float], level: float = 0.95) -> Interval:
    """The mean of paired differences over training seeds with Student's t interval.

    A bootstrap of three or four seeds cannot cover; t assumes that differences of accuracies over
    seeds are about normal, and is wide where they are few. With one seed there is no interval.

    Args:
        differences: One per training seed that trained both configurations.
        level: Nominal coverage.
    """
    found = np.asarray(differences, dtype=float)
    found = found[np.isfinite(found)]
    if not found.size:
        return Interval(math.nan, level=level)
    mean = float(found.mean())
    if found.size < 2:
        return Interval(mean, level=level)
    half = float(stats.t.ppf((1 + level) / 2, found.size - 1) * stats.sem(found))
    return Interval(mean, mean - half, mean + half, level, f"{found.size} training seeds")


def answer_sentences(results: Results, table: pd.DataFrame, *, level: float = 0.95) -> list[str]:
    """The first sentences of the report; where a rival wins, the very first says so.

    Args:
        results: The results of the sweep.
        table: The result of :func:`answer_table`.
        level: The level of its intervals.
    """
    if table.empty:
        return []
    own, rivals = table.iloc[0], table.iloc[1:]
    name = strategy_name(str(own["strategy"]))
    metric = f"test {results.metric.replace('_', ' ')}"
    if own["configuration"] < 0:
        return [f"{name[0].upper()}{name[1:]} trained nothing to its end, so it chose nothing."]
    cost = f"{seconds(own['wall_s'])} of waiting and {seconds(own['slot_s'])} of slot time"
    chose = (
        f"{name[0].upper()}{name[1:]} chose {own['point'] or 'its one configuration'}: "
        f"{metric_value(results, own['test'])} {metric} for {cost}."
    )
    better = rivals[rivals["outcome"] == WORSE]
    cheaper = rivals[
        ~rivals["outcome"].isin([WORSE, BETTER])
        & ((rivals["slot_s"] < own["slot_s"]) | (rivals["wall_s"] < own["wall_s"]))
        & (rivals["configuration"] >= 0)
    ]
    first = [
        f"{strategy_name(str(r.strategy))} beat {name}: its choice is better by "
        f"{difference(results, -r.difference).lstrip('+')} of {metric} "
        f"({_limits(results, r, level)}), for {seconds(r.slot_s)} of slot time."
        for r in better.itertuples()
    ]
    first += [
        f"{strategy_name(str(r.strategy))} was {_less(r, own, name)}, and its choice was "
        f"{_as_good(results, r, level)}."
        for r in cheaper.itertuples()
    ]
    others = rivals.drop([*better.index, *cheaper.index])
    rest = [_rival(results, r, own, level) for r in others.itertuples()]
    return [f"{said[0].upper()}{said[1:]}" for said in (*first, chose, *rest)]


def _less(rival: Any, own: pd.Series, name: str) -> str:
    """What a rival needed less of than the own strategy did: slot time, waiting, or both."""
    saved = []
    if rival.wall_s < own["wall_s"]:
        saved.append(f"{seconds(rival.wall_s)} of waiting against {seconds(own['wall_s'])}")
    if rival.slot_s < own["slot_s"]:
        saved.append(f"{seconds(rival.slot_s)} of slot time against {seconds(own['slot_s'])}")
    how = "cheaper" if rival.slot_s < own["slot_s"] else "quicker"
    return f"{how} than {name}, {' and '.join(saved)}"


def _rival(results: Results, rival: Any, own: pd.Series, level: float) -> str:
    name = strategy_name(str(rival.strategy))
    if rival.configuration < 0:
        spent = f" in {seconds(rival.slot_s)} of slot time" if rival.trials else ""
        return f"{name} trained nothing to its end{spent}."
    ratio = rival.slot_s / own["slot_s"] if own["slot_s"] > 0 else math.nan
    text = f"{name} took {seconds(rival.slot_s)} of slot time, {ratio:.2f} times as much, and "
    if rival.outcome == BETTER:
        return (
            f"{text}its choice is worse by {difference(results, rival.difference).lstrip('+')} "
            f"({_limits(results, rival, level)})."
        )
    return f"{text}its choice was {_as_good(results, rival, level)}."


def _as_good(results: Results, rival: Any, level: float) -> str:
    if rival.outcome == SAME:
        return SAME
    size = difference(results, -rival.difference)
    if rival.outcome == NO_DIFFERENCE:
        return f"not told apart from it ({size}, {_limits(results, rival, level)})"
    return f"another one ({size} on one training seed, too few for an interval)"


def _limits(results: Results, row: Any, level: float) -> str:
    """The interval from the rival's side: positive says that the rival's choice is better."""
    low, high = difference(results, -row.high), difference(results, -row.low)
    return f"{100 * level:g}% interval {low} to {high}"


def _against(results: Results, own: int, chosen: int, itself: bool, level: float) -> dict[str, Any]:
    if itself or own < 0 or chosen < 0:
        nothing = {"difference": math.nan, "low": math.nan, "high": math.nan}
        return {**nothing, "seeds": 0, "outcome": "" if itself else UNKNOWN}
    if own == chosen:
        return {"difference": 0.0, "low": 0.0, "high": 0.0, "seeds": 0, "outcome": SAME}
    full = whole_trainings(results)
    both = full[full["configuration"].isin([own, chosen])]
    wide = both.pivot_table(index="seed", columns="configuration", values="test", sort=False)
    gaps = results.sign * (wide[own] - wide[chosen]).dropna() if wide.shape[1] == 2 else []
    found = paired_interval(list(gaps), level)
    limits = {"difference": found.estimate, "low": found.low, "high": found.high}
    return {**limits, "seeds": len(gaps), "outcome": outcome_of(found)}


def whole_trainings(results: Results) -> pd.DataFrame:
    """Trials that trained on all the data to their end, whichever strategy ran them."""
    trials = results.trials[results.trials["outcome"].isin(USABLE)]
    whole = trials["outcome"].eq("finished")
    if "rung" in trials:
        climbing = strategies_of(results).reindex(trials.index).eq(OWN)
        whole &= ~(climbing & trials["arm"].ne("full"))  # rungs train a part, or for less
    if strategies_of(results).eq("").all():
        whole &= trials["arm"].eq("full")
    return trials[whole]


def strategies_of(results: Results) -> pd.Series:
    """By trial, the strategy that ran it; empty in a sweep of arms alone."""
    trials = results.trials
    if "strategy" not in trials:
        return pd.Series("", index=trials.index)
    return first_known(trials["strategy"], "").astype(str)


def _chosen(by_name: pd.DataFrame, name: str) -> int:
    value = by_name["chosen_configuration"].get(name, -1)
    return int(value) if pd.notna(value) else -1


def _test(results: Results, by_name: pd.DataFrame, name: str) -> float:
    column = f"test_{results.metric}"
    return float(by_name[column].get(name, math.nan)) if column in by_name else math.nan


def _point(results: Results, configuration: int) -> str:
    own = results.trials[results.trials["configuration"] == configuration]
    if own.empty:
        return ""
    first = own.iloc[0]
    return axis_values({axis: first[PREFIX + axis] for axis in results.axes})
