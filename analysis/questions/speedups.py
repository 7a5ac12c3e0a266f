"""Fixed-accuracy speed-ups and speed-up-accuracy trade-offs (Cai et al., section 6.1)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.headline import PAPERS
from analysis.results.load import Results
from analysis.results.outcomes import UNFINISHED, USABLE
from analysis.results.settings import PREFIX, label_of

NEVER = "full never surpassed it"
EQUALLED = "full equalled it, never surpassed it"
NO_FULL = "no full run of this configuration and seed"
NO_TIME = "no seconds were measured"
NO_CURVE = "full training's test value was measured at its end alone"


def fixed_accuracy_speedups(results: Results, measure: str = PAPERS) -> pd.DataFrame:
    """Per trial, the fixed-accuracy speed-up over its matching full run (Tables 1-3).

    The speed-up is the time at which the full run of the same configuration and seed first
    surpassed the trial's final test metric, over the trial's own total time. A trial whose full run
    never did has no speed-up, and ``note`` says why.

    Args:
        results: The results of one sweep.
        measure: ``PAPERS``, training plus selection as in the tables; ``WAITED``, all that a trial
            held its slot for.

    Returns:
        A row per trial of every arm but ``full``: ``trial_id``, ``arm``, ``configuration``,
        ``seed``, the axes, ``test_final``, ``seconds``, ``full_seconds`` (at which full training
        surpassed it), ``speedup``, ``note`` (empty where there is a speed-up).
    """
    search = results.search
    curves = dict(list(results.epochs.groupby("trial_id", sort=False)))
    full = search[search["arm"] == "full"]
    by_cell = {(r.configuration, r.seed): r.trial_id for r in full.itertuples()}
    rows: list[dict[str, Any]] = []
    for trial in search[(search["arm"] != "full") & (search["outcome"] != UNFINISHED)].itertuples():
        row: dict[str, Any] = {name: getattr(trial, name) for name in _KEYS}
        row |= {axis: search.at[trial.Index, PREFIX + axis] for axis in results.axes}
        own_s = float(search.at[trial.Index, measure])
        row |= {"test_final": trial.test_final, "seconds": own_s}
        matching = by_cell.get((trial.configuration, trial.seed))
        if trial.outcome not in USABLE:
            at_s, note = math.nan, str(trial.outcome)
        elif matching is None or matching not in curves:
            at_s, note = math.nan, NO_FULL
        else:
            curve = curves[matching].assign(seconds=curves[matching][measure])
            at_s, note = first_surpassed(curve, trial.test_final, results.sign)
        if not note and not (0 < at_s < math.inf and own_s > 0):
            note = NO_TIME
        row |= {"full_seconds": at_s, "speedup": math.nan if note else at_s / own_s}
        rows.append(row | {"note": note})
    columns = [*_KEYS, *results.axes, "test_final", "seconds", "full_seconds", "speedup", "note"]
    return pd.DataFrame(rows, columns=columns)


_KEYS = ("trial_id", "arm", "configuration", "seed")


def first_surpassed(curve: pd.DataFrame, target: float, sign: int) -> tuple[float, str]:
    """Seconds at which a run's test metric first surpassed ``target``, or why it never did.

    Args:
        curve: The run's epochs in order, with ``test`` and ``seconds``.
        target: Metric to surpass.
        sign: +1 when a larger metric is better, else -1.
    """
    if len(curve) > 1 and np.isfinite(curve["test"].to_numpy(dtype=float)[:-1]).sum() == 0:
        return math.nan, NO_CURVE  # the end alone would make full training look slow
    gain = sign * (curve["test"].to_numpy(dtype=float) - target)
    above = np.flatnonzero(gain > 0)
    if above.size:
        return float(curve["seconds"].iloc[above[0]]), ""
    return math.nan, EQUALLED if (gain == 0).any() else NEVER


def speedup_table(speedups: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Tables 1-3 for one axis: a row per arm, a column per value.

    Args:
        speedups: The result of :func:`fixed_accuracy_speedups`.
        axis: One of the sweep's axes.

    Returns:
        Long: ``arm``, ``value`` (as text), ``speedup`` (geometric mean over the trials that have
        one), ``reached`` (how many have), ``trials``, ``note`` (the reasons of the others).
    """
    rows = []
    for (arm, value), cell in speedups.groupby(["arm", axis], sort=False, dropna=False):
        known = cell["speedup"].dropna()
        missing = cell.loc[cell["speedup"].isna(), "note"].value_counts()
        rows.append(
            {
                "arm": arm,
                "value": label_of(value),
                "speedup": float(np.exp(np.log(known).mean())) if len(known) else math.nan,
                "reached": len(known),
                "trials": len(cell),
                "note": "; ".join(f"{reason} ({n})" for reason, n in missing.items()),
            }
        )
    return pd.DataFrame(rows, columns=["arm", "value", "speedup", "reached", "trials", "note"])


def tradeoff(
    results: Results, *, start: float = 2 / 3, points: int = 6, by: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Speed-up and relative test error at points along training (Figs. 1-3).

    Both are relative to the matching full run's final time and final test error. The paper takes
    every 20th epoch between 200 and 300; here ``points`` epochs, evenly from ``start`` to the end.

    Args:
        results: The results of one sweep.
        start: Share of a trial's epochs at which its curve begins.
        points: Most points per curve.
        by: Further trial columns to carry along.

    Returns:
        ``trial_id``, ``arm``, ``configuration``, ``seed``, the axes, ``epoch``, ``seconds``,
        ``test``, ``speedup``, ``relative_error``. Trials without a usable full run, whose full run
        made no error at all, or without seconds are left out; full runs themselves are kept (their
        curves end at 1 and 1).
    """
    keys = [*_KEYS, *(PREFIX + axis for axis in results.axes), *by]
    columns = [*_KEYS, *results.axes, *by, "epoch", "seconds", "test", "speedup", "relative_error"]
    if not results.has_error:
        return pd.DataFrame(columns=columns)
    search = results.search
    usable = search[search["outcome"].isin(USABLE)]
    full = usable.loc[usable["arm"] == "full", ["configuration", "seed", "seconds", "test_final"]]
    full = full.groupby(["configuration", "seed"], as_index=False).mean()
    full = full.rename(columns={"seconds": "full_seconds", "test_final": "full_test"})
    frame = usable[keys].merge(full, on=["configuration", "seed"])
    epochs = results.epochs[results.epochs["evaluated"]]
    frame = frame.merge(epochs[["trial_id", "epoch", "seconds", "test"]], on="trial_id")
    frame = frame[_on_curve(frame, start, points)]
    full_error = results.error(frame["full_test"])
    frame = frame.assign(
        speedup=frame["full_seconds"] / frame["seconds"],
        relative_error=results.error(frame["test"]) / full_error,
    )
    finite = np.isfinite(frame[["speedup", "relative_error"]].astype(float)).all(axis=1)
    frame = frame[finite].rename(columns={PREFIX + axis: axis for axis in results.axes})
    return frame[columns].reset_index(drop=True)


def _on_curve(frame: pd.DataFrame, start: float, points: int) -> pd.Series:
    """Which epochs are drawn: at most ``points`` per trial, the last always among them.

    For each mark the first evaluated epoch at or after it.
    """
    drawn = pd.Series(False, index=frame.index)
    marks = np.linspace(start, 1.0, points)
    for _, own in frame.groupby("trial_id", sort=False)["epoch"]:
        epochs = own.to_numpy()
        places = np.searchsorted(epochs, np.ceil(epochs[-1] * marks - 1e-9))
        drawn[own.index[np.unique(places)]] = True
    return drawn
