"""What a sweep cost: seconds, joules, device hours and their price, and speed-up's limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.headline import PAPERS, paired_seconds
from analysis.questions.occupancy import rest_seconds
from analysis.results.frames import SECONDS_COLUMNS, START_UP
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import is_resolved, setting

JOULES_PER_KWH = 3.6e6

JOULES_COLUMNS = ("train_j", "select_j", "eval_j", "wait_j")


def cost_table(results: Results, price_per_hour: float | None = None) -> pd.DataFrame:
    """What each arm cost, promotion in rows of its own.

    Args:
        results: The results of one sweep.
        price_per_hour: The price per hour of one GPU; of one CPU where the trials used no GPU.

    Returns:
        ``arm``, ``phase``, ``trials``; ``train_s``, ``select_s``, ``eval_s``, ``wait_s`` (sums),
        ``startup_s`` (making trials ready; NaN where they did not say), ``rest_s`` (what else their
        slots were held for: reports, checkpoints) and ``slot_s``, the sum of them all;
        ``joules`` (of training and selection, summed over the trials that measured them, NaN where
        none did), ``joules_trials``, and where the trials tell them apart ``train_j``,
        ``select_j``, ``eval_j``, ``wait_j``; ``device`` (``gpu`` or ``cpu``), ``device_hours``
        (slot-seconds times the trial's devices) and ``price`` (NaN without one).
    """
    rows = []
    trials = results.paid(results.trials)
    order = {arm: i for i, arm in enumerate(results.arms())}
    for (phase, arm), own in trials.groupby(["phase", "arm"], sort=False):
        amount, device = devices(results.sweep, str(arm))
        seconds = {column: own[column].sum(min_count=1) for column in SECONDS_COLUMNS}
        seconds[START_UP] = own[START_UP].sum(min_count=1)
        seconds |= {"rest_s": rest_seconds(own), "slot_s": float(own["slot_s"].sum())}
        hours = seconds["slot_s"] * amount / 3600
        joules = _numbers(own["energy_j"] if "energy_j" in own else pd.Series(dtype=float))
        rows.append(
            {
                "arm": arm,
                "phase": phase,
                "trials": len(own),
                **seconds,
                "joules": joules.sum(min_count=1),
                "joules_trials": int(joules.notna().sum()),
                **{column: _sum(own, column) for column in JOULES_COLUMNS},
                "device": device,
                "device_hours": hours,
                "price": math.nan if price_per_hour is None else hours * price_per_hour,
            }
        )
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    place = frame["arm"].map(order).fillna(len(order)) + 1000 * (frame["phase"] == "promotion")
    return frame.iloc[np.argsort(place.to_numpy(), kind="stable")].reset_index(drop=True)


_COLUMNS = [
    *("arm", "phase", "trials", *SECONDS_COLUMNS, START_UP, "rest_s", "slot_s"),
    *("joules", "joules_trials", *JOULES_COLUMNS),
    *("device", "device_hours", "price"),
]


def _sum(trials: pd.DataFrame, column: str) -> float:
    if column not in trials:
        return math.nan
    return float(_numbers(trials[column]).sum(min_count=1))


def devices(sweep: Mapping[str, Any], arm: str) -> tuple[float, str]:
    """How many GPUs a trial of an arm holds, or CPUs where it holds none; and which of the two."""
    own = [a for a in sweep.get("arms") or [] if isinstance(a, Mapping) and a.get("name") == arm]
    resources = (own[0].get("resources") if own else None) or sweep.get("resources") or {}
    gpus = float(resources.get("gpu") or 0.0)
    return (gpus, "gpu") if gpus > 0 else (float(resources.get("cpu") or 1.0), "cpu")


def limit_table(results: Results) -> pd.DataFrame:
    """Each arm's speed-up over full training against its limit.

    An arm that trains W epochs on all the data and E - W on the fraction f can be at most
    T / (W + (E - W) f) times as fast as T epochs of full training, which is 1 / f without a warm
    start and with E = T: as if selecting and everything else besides the examples were free.

    An arm that selects inside the mini-batch also pays a forward pass for every candidate it
    measures, a third of a training step (Balles et al., section 2). Its limit is that of the
    examples it counted: full training's over its own plus a third of those it measured.

    Both are in the papers' own measure, training and selection: examples bound nothing else.

    Returns:
        ``arm``, ``fraction``, ``speedup``, ``limit``, ``share`` (speedup / limit); empty without
        full training.
    """
    columns = ["arm", "fraction", "speedup", "limit", "share"]
    search = results.search
    full_epochs = search.loc[search["arm"] == "full", "epochs"].max()
    rows = []
    for arm in results.arms():
        if arm == "full" or not np.isfinite(full_epochs):
            continue
        own_s, full_s, pairs = paired_seconds(results, arm, PAPERS)
        own = search[(search["arm"] == arm) & search["outcome"].isin(USABLE)]
        if not pairs or own_s <= 0 or own.empty:
            continue
        fractions = _numbers(setting(own, results.sweep, "fraction"))
        fractions = fractions.where(own["selector"] != "full", 1.0)  # full training stopped early
        warm = warm_epochs(results, own)
        epochs = own["epochs"]
        trained = (warm + (epochs - warm) * fractions).sum(min_count=1)
        limit = _limit_of_passes(results, own)
        if not np.isfinite(limit):
            limit = float(full_epochs * len(own) / trained)
        speedup = full_s / own_s
        rows.append([arm, float(fractions.mean()), speedup, limit, speedup / limit])
    return pd.DataFrame(rows, columns=columns).dropna(subset="limit").reset_index(drop=True)


def _limit_of_passes(results: Results, own: pd.DataFrame) -> float:
    """Of an arm that counted its selection passes, on what full training ran too; else NaN."""
    if not {"examples_seen", "selection_examples"} <= set(results.epochs.columns):
        return math.nan
    last = results.epochs.groupby("trial_id")[["examples_seen", "selection_examples"]].last()
    keys = ["configuration", "seed"]
    full = results.search[results.search["arm"] == "full"].drop_duplicates(keys)
    pairs = own.merge(full[[*keys, "trial_id"]], on=keys, suffixes=("", "_full"))
    examples, measured = last.reindex(pairs["trial_id"]).sum(min_count=1)
    full_examples = last["examples_seen"].reindex(pairs["trial_id_full"]).sum(min_count=1)
    return float(full_examples / (examples + measured / 3))


def warm_epochs(results: Results, trials: pd.DataFrame) -> pd.Series:
    """Epochs on all the data before the first subset.

    In folders written before trials carried it, from kappa where that is set: T_s = kappa T and
    T_f = T_s k / n (Killamsetty et al., A.2.1).
    """
    stated = _numbers(setting(trials, results.sweep, "warm_start_epochs", 0)).fillna(0.0)
    kappa = _numbers(setting(trials, results.sweep, "kappa"))
    fraction = _numbers(setting(trials, results.sweep, "fraction"))
    # The run has T_f + T_s = T_s (1 + f) epochs, so T_f is the share f / (1 + f) of them.
    computed = (trials["epochs"] * fraction / (1 + fraction)).round()
    return stated.where(kappa.isna() | is_resolved(trials), computed)


def _numbers(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce").astype(float)


def phase_frame(costs: pd.DataFrame) -> pd.DataFrame:
    """Seconds by arm, phase of the sweep and kind of work, long, for stacked bars.

    Args:
        costs: The result of :func:`cost_table`.

    Returns:
        ``arm``, ``phase``, ``work`` (``train``, ``select``, ``evaluate``, ``wait``, and where they
        were recorded ``start-up`` and ``reports``), ``seconds``.
    """
    recorded = [c for c in (START_UP, "rest_s") if costs[c].fillna(0.0).gt(0).any()]
    return _by_work(costs, (*SECONDS_COLUMNS, *recorded), "seconds")


def joules_frame(costs: pd.DataFrame) -> pd.DataFrame:
    """Joules by arm, phase of the sweep and kind of work, long: ``joules`` for ``seconds`` above.

    Only arms that measured them. Where a sweep tells training and selection not apart, their sum
    is the kind of work ``train and select``.
    """
    costs = costs[costs["joules"].notna()]
    split = costs[list(JOULES_COLUMNS)].notna().any(axis=1)
    frames = [
        _by_work(costs[split], JOULES_COLUMNS, "joules"),
        costs.loc[~split, ["arm", "phase", "joules"]].assign(work="train and select"),
    ]
    frames = [frame for frame in frames if len(frame)]
    columns = ["arm", "phase", "work", "joules"]
    return (
        pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
    )


_WORKS = ("train", "select", "evaluate", "wait")
_MORE_WORKS = {START_UP: "start-up", "rest_s": "reports"}


def _by_work(costs: pd.DataFrame, columns: Sequence[str], value: str) -> pd.DataFrame:
    works = dict(zip(SECONDS_COLUMNS + JOULES_COLUMNS, 2 * _WORKS, strict=True)) | _MORE_WORKS
    names = {column: works[column] for column in columns}
    keys = ["arm", "phase"]
    long = costs[[*keys, *names]].melt(id_vars=keys, var_name="work", value_name=value)
    return long.assign(work=long["work"].map(names), **{value: long[value].fillna(0.0)})
