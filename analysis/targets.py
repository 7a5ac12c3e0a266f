"""Time to target errors and Pareto shares (Jiang et al.), time saved per epoch (Cai et al.)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.load import Results
from analysis.outcomes import USABLE
from analysis.settings import PREFIX

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
        reached`` where the trial did not). Empty without full training or without an error.
    """
    columns = [
        *("trial_id", "arm", "configuration", "seed", "final_error", "factor", "target"),
        *("seconds", "full_seconds", "speedup", "note"),
    ]
    if not results.has_error:
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
        error.
    """
    columns = ["trial_id", "arm", "epoch", "seconds", "error"]
    if not results.has_error:
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


def epoch_time_difference(
    seconds: npt.ArrayLike, start: float, end: float, *, max_epochs: int | None = None
) -> float:
    """t_diff of Cai et al., eq. 3: what an epoch with Selective-Backprop saves.

    Args:
        seconds: Cumulative train + select seconds after each epoch, (E,).
        start: Share of the run's epochs at which selection begins.
        end: Share at which it ends; epoch e (from 0) selects when start <= e / max_epochs < end.
        max_epochs: Of the run; E by default.

    Returns:
        Mean seconds of an epoch without selection minus mean seconds of an epoch with it; NaN where
        there is only one kind.
    """
    each = np.diff(np.asarray(seconds, dtype=float), prepend=0.0)
    progress = np.arange(len(each)) / (max_epochs or len(each))
    selecting = (progress >= start) & (progress < end)
    if selecting.all() or not selecting.any():
        return math.nan
    return float(each[~selecting].mean() - each[selecting].mean())


def epoch_time_table(results: Results) -> pd.DataFrame:
    """t_diff of every trial whose selector is scheduled over a part of the run.

    Returns:
        ``trial_id``, ``arm``, ``start``, ``end``, ``interrupt``, ``seconds``, ``test``,
        ``t_diff_s``; empty where no arm has a schedule.
    """
    rows = []
    epochs = dict(list(results.epochs.groupby("trial_id", sort=False)))
    for _, trial in results.search[results.search["outcome"].isin(USABLE)].iterrows():
        start, end = _scheduled(trial, "start"), _scheduled(trial, "end")
        if not (math.isfinite(start) or math.isfinite(end)):
            continue
        start, end = (0.0 if math.isnan(start) else start), (1.0 if math.isnan(end) else end)
        length = trial.get(PREFIX + "max_epochs")
        curve = epochs[trial["trial_id"]]
        difference = epoch_time_difference(
            curve["seconds"], start, end, max_epochs=int(length) if pd.notna(length) else None
        )
        if math.isfinite(difference):
            own = [trial["trial_id"], trial["arm"], start, end, _scheduled(trial, "interrupt")]
            rows.append([*own, trial["seconds"], trial["test"], difference])
    columns = ["trial_id", "arm", "start", "end", "interrupt", "seconds", "test", "t_diff_s"]
    return pd.DataFrame(rows, columns=columns)


def _scheduled(trial: pd.Series, name: str) -> float:
    """A schedule setting of the trial's own selector, the arm's before the sweep's."""
    arm, selector = trial["arm"], trial["selector"]
    for place in (f"arms/{arm}/settings/{selector}", f"selection/settings/{selector}"):
        value = trial.get(f"{PREFIX}{place}/{name}")
        if value is not None and pd.notna(value):
            return float(value)
    return math.nan
