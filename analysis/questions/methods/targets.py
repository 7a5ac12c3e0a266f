"""Time to target errors and Pareto shares (Jiang et al., Table 1 and Fig. 14)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.results.load import Results
from analysis.results.outcomes import USABLE

Array = npt.NDArray[np.float64]

FACTORS = (1.1, 1.2, 1.4)
"""Of full training's final error (Jiang et al., Table 1)."""


def time_to_targets(results: Results, factors: Sequence[float] = FACTORS) -> pd.DataFrame:
    """Speed-up of each trial to multiples of its full run's final error (Jiang et al., Table 1).

    The speed-up is the seconds in which the matching full run first reached the target error over
    those in which the trial did; training plus selection.

    Returns:
        ``trial_id``, ``arm``, ``configuration``, ``seed``, ``final_error`` of the full run,
        ``factor``, ``target``, ``seconds``, ``full_seconds``, ``speedup``, ``note`` (``never
        reached`` where the trial did not). Empty without full training, without an error, or where
        the test split was measured after the last epoch alone.
    """
    columns = [
        *("trial_id", "arm", "configuration", "seed", "final_error", "factor", "target"),
        *("seconds", "full_seconds", "speedup", "note"),
    ]
    if not (results.has_error and results.tested_along):
        return pd.DataFrame(columns=columns)
    usable = results.search[results.search["outcome"].isin(USABLE)]
    curves = {
        trial: (rows["seconds"].to_numpy(float), results.error(rows["test"].to_numpy(float)))
        for trial, rows in results.epochs.groupby("trial_id", sort=False)
    }
    full = usable[usable["arm"] == "full"].drop_duplicates(["configuration", "seed"])
    matching = {(r.configuration, r.seed): r for r in full.itertuples()}
    rows: list[dict[str, Any]] = []
    for trial in usable[usable["arm"] != "full"].itertuples():
        reference = matching.get((trial.configuration, trial.seed))
        if reference is None:
            continue
        final = float(results.error(reference.test_final))
        for factor in factors:
            own_s = first_reached(*curves[trial.trial_id], factor * final)
            full_s = first_reached(*curves[reference.trial_id], factor * final)
            known = math.isfinite(own_s) and own_s > 0
            rows.append(
                {
                    "trial_id": trial.trial_id,
                    "arm": trial.arm,
                    "configuration": trial.configuration,
                    "seed": trial.seed,
                    "final_error": final,
                    "factor": factor,
                    "target": factor * final,
                    "seconds": own_s,
                    "full_seconds": full_s,
                    "speedup": full_s / own_s if known else math.nan,
                    "note": "" if known else "never reached",
                }
            )
    return pd.DataFrame(rows, columns=columns)


def first_reached(seconds: Array, errors: Array, target: float) -> float:
    """Seconds at which an error curve first was at most ``target``; NaN if never.

    Up to rounding: 1 - 0.7 is a little more than 1.5 x (1 - 0.8).

    Args:
        seconds: Ascending (t,), of the epochs that were evaluated.
        errors: Test errors (t,) at these seconds.
        target: The error to reach.
    """
    below = np.flatnonzero(errors <= target + 1e-9 * abs(target))
    return float(seconds[below[0]]) if below.size else math.nan


def target_table(times: pd.DataFrame) -> pd.DataFrame:
    """Geometric mean speed-up by arm and factor, and how many trials reached the target.

    Returns:
        Long: ``arm``, ``factor``, ``speedup``, ``reached``, ``trials``.
    """
    rows = []
    for (arm, factor), cell in times.groupby(["arm", "factor"], sort=False):
        known = cell["speedup"].dropna()
        mean = float(np.exp(np.log(known).mean())) if len(known) else math.nan
        rows.append([arm, factor, mean, len(known), len(cell)])
    return pd.DataFrame(rows, columns=["arm", "factor", "speedup", "reached", "trials"])


def pareto_points(results: Results) -> pd.DataFrame:
    """The best trade-offs of time and error that any arm offers (Jiang et al., Fig. 14).

    Every epoch of every trial is an offer: this error after these train + select seconds. The
    front holds the offers that no other beats in both; ties go to all who offer them.

    Returns:
        ``trial_id``, ``arm``, ``epoch``, ``seconds``, ``error``, by seconds; empty without an
        error, or where the test split was measured after the last epoch alone.
    """
    columns = ["trial_id", "arm", "epoch", "seconds", "error"]
    if not (results.has_error and results.tested_along):
        return pd.DataFrame(columns=columns)
    usable = results.search.loc[results.search["outcome"].isin(USABLE), "trial_id"]
    rows = results.epochs[results.epochs["trial_id"].isin(usable)]
    frame = rows.assign(error=results.error(rows["test"]))[columns]
    frame = frame[np.isfinite(frame[["seconds", "error"]]).all(axis=1)]
    on_front = pareto_front(frame["seconds"].to_numpy(float), frame["error"].to_numpy(float))
    return frame[on_front].sort_values(["seconds", "error"], ignore_index=True)


def pareto_front(x: Array, y: Array) -> npt.NDArray[np.bool_]:
    """Which points (n,) no other point beats: none is at most as large in both and less in one."""
    order = np.lexsort((y, x))
    front = np.zeros(len(x), dtype=bool)
    best_y, best_x = math.inf, math.nan
    for i in order:
        if y[i] < best_y:
            best_y, best_x, front[i] = y[i], x[i], True
        elif y[i] == best_y and x[i] == best_x:
            front[i] = True
    return front


def pareto_shares(points: pd.DataFrame) -> pd.DataFrame:
    """Each arm's share of the Pareto front: ``arm``, ``points``, ``share``."""
    counts = points["arm"].value_counts()
    frame = pd.DataFrame({"arm": counts.index.astype(str), "points": counts.to_numpy()})
    return frame.assign(share=frame["points"] / max(len(points), 1))
