"""Histograms of parameters over training (Cai et al., A.2, Figs. 9-10)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.results.trial_files import read_trial_files

FILE = "histograms.parquet"
"""In a trial's folder: ``epoch``, ``layer``, ``low``, ``high`` and ``counts`` of equal bins."""

_COLUMNS = ("epoch", "layer", "low", "high", "counts")


def load_parameter_histograms(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Every trial's histograms below a results folder.

    Returns:
        A row per trial, layer and epoch: ``trial_folder`` (name) and the file's columns; and a
        sentence for each file that cannot be read.
    """
    found, problems = read_trial_files(folder, FILE, _COLUMNS)
    frames = [frame[list(_COLUMNS)].assign(trial_folder=name) for name, frame in found.items()]
    columns = [*_COLUMNS, "trial_folder"]
    empty = pd.DataFrame(columns=columns)
    return (pd.concat(frames, ignore_index=True) if frames else empty), problems


def over_time(rows: pd.DataFrame, *, bins: int = 32, epochs: int = 40) -> pd.DataFrame:
    """One layer's histograms on a common grid, long, for drawing.

    Each epoch's bins span its own range; their counts are spread evenly over the common bins they
    overlap.

    Args:
        rows: The rows of one trial and layer.
        bins: Common bins over the layer's whole range.
        epochs: The most epochs, evenly spaced, the last always among them.

    Returns:
        ``epoch``, ``low``, ``high`` (of the bin), ``share`` of the layer's entries.
    """
    rows = rows.sort_values("epoch", ignore_index=True)
    if rows.empty:
        return pd.DataFrame(columns=["epoch", "low", "high", "share"])
    step = math.ceil(len(rows) / epochs)
    rows = rows.iloc[::-1].iloc[::step].iloc[::-1]
    low, high = float(rows["low"].min()), float(rows["high"].max())
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    frames = []
    for row in rows.to_dict("records"):
        share = rebin(row["counts"], float(row["low"]), float(row["high"]), edges)
        columns: dict[str, Any] = {"epoch": int(row["epoch"]), "low": edges[:-1]}
        frames.append(pd.DataFrame({**columns, "high": edges[1:], "share": share}))
    return pd.concat(frames, ignore_index=True)


def rebin(
    counts: Sequence[int], low: float, high: float, edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Shares of equal bins over [low, high] in other bins, spread evenly; they sum to 1.

    Args:
        counts: The counts per equal bin.
        low: Left edge of the first.
        high: Right edge of the last; where it equals ``low``, all entries have that value.
        edges: Increasing (b + 1,), spanning [low, high].
    """
    values = np.asarray(counts, dtype=float)
    total = values.sum()
    if total <= 0:
        return np.zeros(len(edges) - 1)
    if high <= low:
        return np.histogram([low], bins=edges)[0].astype(float)
    own = np.linspace(low, high, len(values) + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(values)]) / total
    return np.asarray(np.diff(np.interp(edges, own, cumulative)))
