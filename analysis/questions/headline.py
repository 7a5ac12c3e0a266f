"""The decision table: what each arm cost and reached."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.frames import SECONDS_COLUMNS, START_UP
from analysis.results.load import Results
from analysis.results.outcomes import DIVERGED, FAILED, STOPPED, UNFINISHED, USABLE
from analysis.results.settings import is_resolved
from analysis.statistics.cube import panel, shared

WAITED = "slot_s"
"""Seconds that a trial held its slot: training, selection, evaluation, waiting and start-up."""

PAPERS = "seconds"
"""The papers' own measure: seconds of training and selection alone."""


def decision_table(results: Results) -> pd.DataFrame:
    """One row per arm of the search.

    Returns:
        Columns ``arm``; ``trials`` and of these ``usable``, ``stopped`` early, ``diverged``,
        ``failed``, ``unfinished``; ``total_s``, the slot-seconds of all trials, failed ones
        included, and of these ``train_s``, ``select_s``, ``eval_s``, ``wait_s`` and ``startup_s``
        (what is left are checkpoints and reports); ``best`` (test metric of the trial that
        the arm's validation metric chose) with ``best_configuration``; ``mean`` and ``cells``
        (test metric over configurations and seeds on which every arm but the seed has a usable
        trial); ``waited_speedup`` over full training, of slot-seconds over the ``pairs`` that both
        have, the seed trials' added to arms that replay: what the user waited for. ``speedup`` is
        the papers' own measure, of training and selection alone, the seed not paid for;
        ``speedup_with_seed`` the same with the seed paid for.
    """
    arms = results.arms()
    search = results.search
    compared = [arm for arm in arms if arm != "seed"]
    means, cells = _shared_means(results, compared)
    rows = []
    for arm in arms:
        trials = search[search["arm"] == arm]
        usable = trials[trials["outcome"].isin(USABLE)]
        row: dict[str, Any] = {"arm": arm, "trials": len(trials), "usable": len(usable)}
        for name, outcome in (
            ("stopped", STOPPED),
            ("diverged", DIVERGED),
            ("failed", FAILED),
            ("unfinished", UNFINISHED),
        ):
            row[name] = int((trials["outcome"] == outcome).sum())
        paid = results.paid(trials)
        parts = {column: paid[column].sum(min_count=1) for column in SECONDS_COLUMNS}
        parts[START_UP] = paid[START_UP].sum(min_count=1)
        row |= {"total_s": float(paid["slot_s"].sum()), **parts}
        row |= _best(results, usable)
        row |= {"mean": means.get(arm, math.nan), "cells": cells}
        row |= _speedups(results, arm)
        rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = [
    *("arm", "trials", "usable", "stopped", "diverged", "failed", "unfinished", "total_s"),
    *(*SECONDS_COLUMNS, START_UP),
    *("best", "best_configuration", "mean", "cells", "waited_speedup", "speedup", "pairs"),
    "speedup_with_seed",
]


def configurations(results: Results) -> int:
    """How many configurations the search compared; one that only a seed ran is none of them."""
    search = results.search
    compared = search[search["arm"] != "seed"]
    return int((compared if len(compared) else search)["configuration"].nunique())


def seed_seconds(results: Results, arm: str | None = None, measure: str = WAITED) -> float:
    """Seconds of seed trials, failed ones included; 0 without a seed.

    Args:
        results: The results of a sweep.
        arm: Counts only the seeds whose histories this arm's trials trained on, where the trials
            name them (column ``history``); all seeds by default.
        measure: ``WAITED`` or ``PAPERS``.
    """
    return float(seed_trials(results, arm)[measure].sum())


def seed_trials(results: Results, arm: str | None = None) -> pd.DataFrame:
    """Seed trials, failed ones included: all, or those whose histories an arm's trials replay."""
    search = results.search
    seeds = search[search["arm"] == "seed"]
    if arm is not None and "history" in search:
        named = search.loc[search["arm"] == arm, "history"].dropna()
        replayed = {name for names in named for name in str(names).split(";")}
        if replayed:
            seeds = seeds[seeds["history"].isin(replayed)]
    return seeds


def replays(results: Results, arm: str) -> bool:
    """Whether an arm replays a history."""
    trials = results.search[results.search["arm"] == arm]
    resolved = is_resolved(trials)
    if resolved.any():
        return bool((trials.loc[resolved, "kind"] == "cached").any())
    # Older folders name the selector alone: ``cached_mixed`` and the like transform what they
    # replay; an import string is a selector of the user's own.
    return arm == "cached" or bool(
        trials["selector"].astype(str).str.match(r"cached(_\w+)?$").any()
    )


def paired_seconds(results: Results, arm: str, measure: str = WAITED) -> tuple[float, float, int]:
    """Seconds of ``arm`` and of full training, and the number of shared pairs.

    Only pairs of configuration and seed on which both have a usable trial count: a diverged trial
    ends early and would look fast.

    Args:
        results: The results of a sweep.
        arm: The arm to set beside full training.
        measure: ``WAITED`` or ``PAPERS``.
    """
    both = panel(results, measure, [arm, "full"])
    cube = shared(both.values)
    pairs = int(np.isfinite(cube[0]).sum())
    if not pairs:
        return math.nan, math.nan, 0
    return float(np.nansum(cube[0])), float(np.nansum(cube[1])), pairs


def waited_speedup(results: Results, arm: str) -> float:
    """Full training's slot-seconds over an arm's and its seeds', on the pairs that both finished.

    NaN where they share no pair or no seconds were measured.
    """
    own_s, full_s, pairs = paired_seconds(results, arm)
    own_s += seed_seconds(results, arm) if replays(results, arm) else 0.0
    return full_s / own_s if pairs and own_s > 0 else math.nan


def _speedups(results: Results, arm: str) -> dict[str, Any]:
    seed_s = seed_seconds(results, arm, PAPERS)
    own_s, full_s, pairs = paired_seconds(results, arm, PAPERS)
    speedup = full_s / own_s if pairs and own_s > 0 else math.nan
    with_seed = math.nan
    if replays(results, arm) and seed_s > 0 and pairs:
        with_seed = full_s / (own_s + seed_s)
    return {
        "waited_speedup": waited_speedup(results, arm),
        "speedup": speedup,
        "pairs": pairs,
        "speedup_with_seed": with_seed,
    }


def _best(results: Results, usable: pd.DataFrame) -> dict[str, Any]:
    if usable.empty:
        return {"best": math.nan, "best_configuration": -1}
    chosen = usable.loc[(results.sign * usable["val"]).idxmax()]
    return {"best": float(chosen["test"]), "best_configuration": int(chosen["configuration"])}


def _shared_means(results: Results, arms: list[str]) -> tuple[dict[str, float], int]:
    """Mean test metric per arm over the cells that every arm has."""
    if not arms:
        return {}, 0
    cube = shared(panel(results, "test", arms).values)
    cells = int(np.isfinite(cube[0]).sum())
    if not cells:
        return {}, 0
    return {arm: float(np.nanmean(cube[i])) for i, arm in enumerate(arms)}, cells
