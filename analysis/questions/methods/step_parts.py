"""Where training's seconds go, pass by pass (Jiang et al., Figs. 1 and 10)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.methods.targets import first_reached
from analysis.results.load import Results
from analysis.results.outcomes import USABLE

PARTS = ("select", "forward", "backward", "other")
"""Of training plus selection. ``other`` is data, augmentation and bookkeeping."""

TARGET_FACTOR = 1.4
"""Of full training's final error: the target of the paper's Fig. 10."""

_REPORTED = ["train_s", "select_s", "forward_s", "backward_s"]  # cumulative, per epoch


def step_parts(results: Results, factor: float | None = None) -> pd.DataFrame:
    """Mean seconds of each part by arm, over the same configurations and seeds for all of them.

    Args:
        results: The results of the sweep.
        factor: Count until a trial first reaches this multiple of its full run's final test error;
            ``None`` counts whole trials.

    Returns:
        ``arm``, ``select``, ``forward``, ``backward``, ``other`` (seconds of a trial), ``examples``
        (trained on), ``trials`` (how many the means are over). Arms without the two passes' seconds
        are left out, and with ``factor`` those that never reach the target where another does;
        empty where nothing is left.
    """
    columns = ["arm", *PARTS, "examples", "trials"]
    empty = pd.DataFrame(columns=columns)
    if not {*_REPORTED} <= {*results.epochs.columns} or (
        factor is not None and not (results.has_error and results.tested_along)
    ):
        return empty
    usable = results.search[results.search["outcome"].isin(USABLE)]
    epochs = {str(trial): rows for trial, rows in results.epochs.groupby("trial_id", sort=False)}
    targets = _targets(results, usable, factor)
    found: list[dict[str, Any]] = []
    for trial in usable.itertuples():
        own = epochs.get(str(trial.trial_id))
        pair = (trial.configuration, trial.seed)
        if own is None or (factor is not None and pair not in targets):
            continue
        until = _last_row(results, own, targets.get(pair))
        if until is None or not np.isfinite(until[_REPORTED].astype(float)).all():
            continue
        found.append({"arm": trial.arm, "pair": pair, **_parts(until)})
    if not found:
        return empty
    frame = _shared_pairs(pd.DataFrame(found))
    means = frame.groupby("arm", sort=False)[[*PARTS, "examples"]].mean().reset_index()
    trials = frame.groupby("arm", sort=False).size()
    order = {arm: place for place, arm in enumerate(results.arms())}
    means = means.assign(trials=means["arm"].map(trials))
    return means.sort_values("arm", key=lambda a: a.map(order), ignore_index=True)[columns]


def _parts(row: pd.Series) -> dict[str, float]:
    train, select, forward, backward = (float(row[name]) for name in _REPORTED)
    # Two clocks read a GPU's work, one by events, one by waiting: the rest may be just below 0.
    other = max(0.0, train - forward - backward)
    examples = float(row.get("examples_seen", math.nan))
    return {
        **dict(zip(PARTS, (select, forward, backward, other), strict=True)),
        "examples": examples,
    }


def _targets(
    results: Results, usable: pd.DataFrame, factor: float | None
) -> dict[tuple[Any, Any], float]:
    """The error to reach, by configuration and seed of a full run."""
    if factor is None:
        return {}
    full = usable[usable["arm"] == "full"]
    return {
        (run.configuration, run.seed): factor * float(results.error(run.test_final))
        for run in full.itertuples()
    }


def _last_row(results: Results, epochs: pd.DataFrame, target: float | None) -> pd.Series | None:
    """The last epoch, or the first one that reaches the target; ``None`` where none does."""
    if target is None:
        return epochs.iloc[-1]
    places = np.arange(len(epochs), dtype=float)
    place = first_reached(places, results.error(epochs["test"].to_numpy(float)), target)
    return None if math.isnan(place) else epochs.iloc[int(place)]


def _shared_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """The configurations and seeds that every arm has; an arm that has none of the others' goes.

    Arms are dropped, those of the fewest pairs first, until some pair is common to all that remain.
    """
    while True:
        pairs = frame.groupby("arm", sort=False)["pair"].agg(set)
        common = set.intersection(*pairs)
        if common:
            return frame[frame["pair"].isin(common)]
        frame = frame[frame["arm"] != pairs.map(len).idxmin()]


def long_parts(parts: pd.DataFrame) -> pd.DataFrame:
    """A row per arm and part, for stacked bars: ``arm``, ``phase``, ``work``, ``seconds``."""
    long = parts.melt("arm", list(PARTS), var_name="work", value_name="seconds")
    return long.assign(phase="search")
