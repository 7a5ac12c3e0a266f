"""How each trial ended: nothing that failed is dropped without being counted and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.settings import setting

FINISHED = "finished"
STOPPED = "stopped early"  # by a scheduler; what it reached counts
DIVERGED = "diverged"  # a metric was not finite at the end
FAILED = "failed"
UNFINISHED = "unfinished"

USABLE = (FINISHED, STOPPED)
"""Outcomes whose metrics enter the statistics."""

WORST = (DIVERGED, FAILED)
"""Outcomes that rank below every usable one, tied with each other."""

# Tune's own words and the sweep's.
_FAILED = ("ERROR", "FAILED")
_ENDED = ("TERMINATED", "FINISHED", "STOPPED")


def add_outcomes(trials: pd.DataFrame, sweep: Mapping[str, Any]) -> pd.DataFrame:
    """The frame with a column ``outcome``, one of the five words above."""
    train = sweep.get("train") if isinstance(sweep.get("train"), dict) else {}
    wanted = pd.Series(np.nan, index=trials.index, dtype=float)
    if "config/max_epochs" in trials:
        wanted = pd.to_numeric(trials["config/max_epochs"], errors="coerce").astype(float)
    wanted = wanted.fillna(float((train or {}).get("max_epochs") or np.nan))
    status = trials["status"].str.upper()
    usable = np.isfinite(trials["val"]) & np.isfinite(trials["val_final"])
    # A trial stopped before its test split was evaluated has no test value, and did not diverge.
    usable &= ~np.isinf(trials["test_final"].astype(float))
    if "train_loss" in trials:  # a NaN loss is divergence even where an accuracy is still defined
        loss = pd.to_numeric(trials["train_loss"], errors="coerce")
        usable &= np.isfinite(loss) | ~_reports_loss(trials)
    # With kappa a run is shorter by design: T_s + T_f epochs (Killamsetty et al., A.2.1), give or
    # take the rounding of each.
    kappa = pd.to_numeric(setting(trials, sweep, "kappa"), errors="coerce").astype(float)
    fraction = pd.to_numeric(setting(trials, sweep, "fraction"), errors="coerce").astype(float)
    planned = (wanted * kappa * (1 + fraction) - 1).where(trials["arm"] != "full")
    planned = planned.where(planned.notna(), wanted)
    short = trials["epochs"].fillna(0) < planned.fillna(0)
    stopped = short | (status.eq("STOPPED") & ~(kappa.notna() & ~short))
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


def _reports_loss(trials: pd.DataFrame) -> pd.Series:
    """Whether a trial's arm reports a training loss at all."""
    finite = np.isfinite(pd.to_numeric(trials["train_loss"], errors="coerce"))
    return finite.groupby(trials["arm"]).transform("any")


def _speaks_of_divergence(error: pd.Series) -> pd.Series:
    return error.str.contains(r"\bnan\b|not finite|non-finite|infinite|diverg", case=False)
