"""How each trial ended: nothing that failed is dropped without being counted and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.settings import is_resolved, setting

FINISHED = "finished"
STOPPED = "stopped early"  # by a scheduler; what it reached counts
DIVERGED = "diverged"  # a metric was not finite at the end
FAILED = "failed"
UNFINISHED = "unfinished"

USABLE = (FINISHED, STOPPED)
"""Outcomes whose metrics enter the statistics."""

WORST = (DIVERGED, FAILED)
"""Outcomes that rank below every usable one, tied with each other."""

LOOKS = "config/evaluation/test"
"""Column that says when a trial evaluates the test split."""

# Tune's own words and the sweep's.
_FAILED = ("ERROR", "FAILED")
_ENDED = ("TERMINATED", "FINISHED", "STOPPED")


def add_outcomes(trials: pd.DataFrame, sweep: Mapping[str, Any]) -> pd.DataFrame:
    """The frame with a column ``outcome``, one of the five words above."""
    status = trials["status"].str.upper()
    usable = np.isfinite(trials["val"]) & np.isfinite(trials["val_final"])
    if "train_loss" in trials:  # a NaN loss is divergence even where an accuracy is still defined
        loss = pd.to_numeric(trials["train_loss"], errors="coerce")
        usable &= np.isfinite(loss) | ~_reports_loss(trials)
    planned, exact = _planned_epochs(trials, sweep)
    short = trials["epochs"].fillna(0) < planned.fillna(0)
    stopped = short | (status.eq("STOPPED") & ~exact)
    # One that was stopped before the test split's turn, after the last epoch, or that was not to
    # look at it, is none the worse.
    excused = (short | _leaves_test(trials)) & trials["test_final"].isna()
    usable &= np.isfinite(trials["test_final"]) | excused
    outcome = np.select(
        [
            status.isin(_FAILED) & _speaks_of_divergence(trials["error"]),
            status.isin(_FAILED),
            ~status.isin(_ENDED),
            ~usable,
            stopped,
        ],
        [DIVERGED, FAILED, UNFINISHED, DIVERGED, STOPPED],
        default=FINISHED,
    )
    return trials.assign(outcome=outcome)


def _leaves_test(trials: pd.DataFrame) -> pd.Series:
    """Which trials were set never to evaluate the test split, as a ladder's rungs are."""
    if LOOKS not in trials:
        return pd.Series(False, index=trials.index)
    return trials[LOOKS].eq("never").fillna(False).astype(bool)


def _planned_epochs(trials: pd.DataFrame, sweep: Mapping[str, Any]) -> tuple[pd.Series, pd.Series]:
    """How many epochs each trial was to run, and for which trials that settles how it ended."""
    if "planned_epochs" in trials:
        planned = _numbers(trials["planned_epochs"])
    else:
        planned = pd.Series(np.nan, index=trials.index)
    known = is_resolved(trials) & planned.notna()
    if known.all():
        return planned, known
    train = sweep.get("train") if isinstance(sweep.get("train"), dict) else {}
    wanted = pd.Series(np.nan, index=trials.index, dtype=float)
    if "config/max_epochs" in trials:
        wanted = _numbers(trials["config/max_epochs"])
    wanted = wanted.fillna(float((train or {}).get("max_epochs") or np.nan))
    # With kappa a run is shorter by design: T_s + T_f epochs (Killamsetty et al., A.2.1), give or
    # take the rounding of each.
    kappa = _numbers(setting(trials, sweep, "kappa"))
    fraction = _numbers(setting(trials, sweep, "fraction"))
    shorter = (wanted * kappa * (1 + fraction) - 1).where(trials["arm"] != "full")
    inferred = shorter.where(shorter.notna(), wanted)
    return planned.where(known, inferred), known | kappa.notna()


def _numbers(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce").astype(float)


def _reports_loss(trials: pd.DataFrame) -> pd.Series:
    """Whether a trial's arm reports a training loss at all."""
    finite = np.isfinite(pd.to_numeric(trials["train_loss"], errors="coerce"))
    return finite.groupby(trials["arm"]).transform("any")


def _speaks_of_divergence(error: pd.Series) -> pd.Series:
    return error.str.contains(r"\bnan\b|not finite|non-finite|infinite|diverg", case=False)
