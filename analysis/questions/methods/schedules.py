"""Selection in a part of the run: what it saves per epoch, and what it costs (Cai et al.)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.methods.targets import pareto_front
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX

SCHEDULE = ("start", "end", "interrupt")
_OF_TRIAL = ("trial_id", "arm", "selector", "configuration", "seed", "seconds", "test")


def epoch_time_difference(
    seconds: npt.ArrayLike, start: float, end: float, *, max_epochs: int | None = None
) -> float:
    """t_diff of Cai et al., eq. 3: what an epoch with Selective-Backprop saves.

    Args:
        seconds: Cumulative train + select seconds after each epoch, (E,).
        start: Share of the run's epochs at which selection begins.
        end: Share at which it ends; epoch e (from 0) selects when start <= e / max_epochs < end.
        max_epochs: The largest number of epochs of the run; E by default.

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
        ``trial_id``, ``arm``, ``selector``, ``configuration``, ``seed``, ``start``, ``end``,
        ``interrupt``, ``seconds``, ``test``, ``t_diff_s``; empty where no arm has a schedule.
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
            schedule = {"start": start, "end": end, "interrupt": _scheduled(trial, "interrupt")}
            own = {column: trial[column] for column in _OF_TRIAL}
            rows.append({**own, **schedule, "t_diff_s": difference})
    return pd.DataFrame(rows, columns=[*_OF_TRIAL, *SCHEDULE, "t_diff_s"])


def schedule_points(results: Results) -> pd.DataFrame:
    """What each schedule saves of full training's time and loses of its metric.

    The trade-off over ``start``, ``end`` and ``interrupt`` that Cai et al., section 7.2, ask for.

    Returns:
        A row per arm and configuration, over the seeds that full training ran too: ``arm``,
        ``selector``, ``configuration``, ``start``, ``end``, ``interrupt``, ``saved`` (share of full
        training's seconds), ``lost`` (of the test metric; negative where the arm is better),
        ``lost_sd`` (over seeds, NaN for one), ``trials`` and ``pareto`` (no other row saves at
        least as much and loses at most as much, and is better in one).
    """
    table = epoch_time_table(results)
    full = results.search[
        results.search["outcome"].isin(USABLE) & (results.search["arm"] == "full")
    ]
    keys = ["configuration", "seed"]
    full = full.groupby(keys, as_index=False)[["seconds", "test"]].mean()
    paired = table.merge(full, on=keys, suffixes=("", "_full"))
    paired = paired.assign(
        lost=results.sign * (paired["test_full"].astype(float) - paired["test"].astype(float))
    )
    grouped = paired.groupby(
        ["arm", "selector", "configuration", *SCHEDULE], sort=False, dropna=False
    )
    points = grouped.agg(
        seconds=("seconds", "sum"),
        seconds_full=("seconds_full", "sum"),
        lost=("lost", "mean"),
        lost_sd=("lost", "std"),
        trials=("lost", "size"),
    ).reset_index()
    points = points.assign(saved=1 - points["seconds"] / points["seconds_full"])
    front = pareto_front(-points["saved"].to_numpy(float), points["lost"].to_numpy(float))
    points = points.assign(pareto=front)
    return points.drop(columns=["seconds", "seconds_full"])


def _scheduled(trial: pd.Series, name: str) -> float:
    """A schedule setting of the trial's own selector, the arm's before the sweep's."""
    arm, selector = trial["arm"], trial["selector"]
    for place in (f"arms/{arm}/settings/{selector}", f"selection/settings/{selector}"):
        value = trial.get(f"{PREFIX}{place}/{name}")
        if value is not None and pd.notna(value):
            return float(value)
    return math.nan
