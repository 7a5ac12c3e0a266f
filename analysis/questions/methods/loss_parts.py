"""Training losses that are sums of parts, each part over the epochs (Cai et al., Figs. 4-5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

_PREFIX = "train_loss_"
_NAMES = {"conf": "classification", "loc": "localisation"}


def loss_parts(epochs: pd.DataFrame) -> dict[str, str]:
    """Columns of ``epochs`` that hold a part of the training loss, and the parts' names."""
    columns = [str(c) for c in epochs.columns if str(c).startswith(_PREFIX)]
    return {column: _part_name(column.removeprefix(_PREFIX)) for column in columns}


def _part_name(part: str) -> str:
    return _NAMES.get(part, part.replace("_", " "))


def loss_curves(epochs: pd.DataFrame, column: str, usable: Sequence[str]) -> pd.DataFrame:
    """One part's mean by arm and epoch, with the trials' quartiles.

    Args:
        epochs: The epochs of a sweep.
        column: The result of :func:`loss_parts`.
        usable: Trial ids that count.

    Returns:
        ``arm``, ``epoch``, ``loss`` (mean over trials), ``low``, ``high`` (quartiles), ``trials``.
    """
    values = pd.to_numeric(epochs[column], errors="coerce")
    own = epochs.assign(loss=values)
    own = own[own["trial_id"].isin(list(usable)) & np.isfinite(own["loss"])]
    grouped = own.groupby(["arm", "epoch"], sort=False)
    table = grouped.agg(loss=("loss", "mean"), trials=("trial_id", "nunique"))
    table["low"] = grouped["loss"].quantile(0.25)
    table["high"] = grouped["loss"].quantile(0.75)
    columns = ["arm", "epoch", "loss", "low", "high", "trials"]
    return table.reset_index()[columns].sort_values(["arm", "epoch"], ignore_index=True)
