"""Epochs as whole numbers from 1, whatever a training loop of somebody's own counted as ``epoch``.

Loops count from 0, report parts of epochs (0.5, 1.0, ...), or put steps and times there. Tables
with a place for every epoch would lose the first report, hold several under one number, or not fit
into memory.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_FEW = 10_000
_SPARSE = 100  # as many numbers for each that is reported: those are steps, or times


def without_waiting(epochs: pd.DataFrame) -> pd.DataFrame:
    """The reports of training: one of waiting repeats an epoch and trains nothing.

    Args:
        epochs: A row per report.
    """
    if "waiting_for_interval" not in epochs:
        return epochs
    waiting = pd.to_numeric(epochs["waiting_for_interval"], errors="coerce").fillna(-1) >= 0
    return epochs[~waiting]


def numbered(epochs: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The reports with epochs from 1.

    Args:
        epochs: A row per report of training with ``trial_id`` and ``epoch``, in the order in which
            they came.

    Returns:
        The reports that have an epoch, and what had to be done to their numbers, or ``""``.
    """
    written = epochs["epoch"]
    if not pd.api.types.is_numeric_dtype(written) or pd.api.types.is_bool_dtype(written):
        written = pd.to_numeric(written.astype(object), errors="coerce")
    numbers = written.astype(float)
    known = np.isfinite(numbers)
    if not known.any():
        return _counted(
            epochs
        ), "No epoch was reported as a number: each trial's reports are counted."
    epochs, numbers = epochs[known], numbers[known]
    if not _count(numbers):
        said = (
            f"What was reported as epoch ({numbers.min():g} to {numbers.max():g}) counts no whole "
            "epochs: each trial's reports are counted instead, in the order of those numbers."
        )
        return _counted(epochs, numbers), said
    epochs = epochs.assign(epoch=numbers.astype(np.int64))
    if (numbers.groupby(epochs["trial_id"]).min() == 0).all():
        said = "Epochs were reported from 0; here they count from 1."
        return epochs.assign(epoch=epochs["epoch"] + 1), said
    return epochs[epochs["epoch"] >= 1], ""  # where some trials alone have a 0, it trained nothing


def _count(numbers: pd.Series) -> bool:
    """Whether numbers may count epochs: whole, not negative, and not nearly all left out."""
    whole = bool((numbers == np.floor(numbers)).all() and numbers.min() >= 0)
    return whole and bool(numbers.max() <= max(_FEW, _SPARSE * numbers.nunique()))


def _counted(epochs: pd.DataFrame, by: pd.Series | None = None) -> pd.DataFrame:
    """Each trial's reports counted; the same number reported again is the same epoch."""
    if by is None:
        return epochs.assign(epoch=epochs.groupby("trial_id", sort=False).cumcount() + 1)
    ranks = by.groupby(epochs["trial_id"], sort=False).rank(method="dense")
    return epochs.assign(epoch=ranks.astype(np.int64))
