"""Parallel coordinates: a line per configuration through the values of all keys to its metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.style import COLOURS, GRID, INK, axes_or_new, dress, safe
from analysis.results.settings import label_of
from analysis.statistics.importance import are_numbers, is_logarithmic

_BEST = 0.25  # the share of configurations that stand out
_MOST_LABELS = 8


def plot_parallel(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    keys: Sequence[str],
    metric: str = "metric",
    sign: float = 1.0,
) -> Axes:
    """Draw each configuration as a line; the best quarter in colour, over the others in grey.

    Numbers stand at their place between the smallest and the largest, on a logarithmic scale where
    they span many powers; other values at equal distances.

    Args:
        frame: A row per configuration: ``val`` and a column per key.
        ax: The axes to draw into; new ones by default.
        keys: The keys in order from the left; the metric comes last.
        metric: Its name.
        sign: 1 where more is better, -1 where less is.
    """
    ax = axes_or_new(ax)
    columns = [*keys, "val"]
    heights = np.column_stack([_heights(frame[column]) for column in columns])
    better = (sign * frame["val"]).rank(method="first", ascending=False).to_numpy()
    is_best = better <= max(1, round(_BEST * len(frame)))
    places = np.arange(len(columns))
    for row in heights[~is_best]:
        ax.plot(places, row, color=GRID, lw=1.0, zorder=1)
    for row in heights[is_best]:
        ax.plot(places, row, color=COLOURS[0], lw=1.4, zorder=3)
    dress(ax, grid="")
    for place, column in enumerate(columns):
        ax.axvline(place, color=INK, lw=0.8, zorder=2)
        _label(ax, float(place), frame[column])
    ax.set_xticks(places, [safe(name, 18) for name in (*keys, metric)], rotation=20, ha="right")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlim(-0.15, len(columns) - 0.35)
    ax.set_ylim(-0.08, 1.08)
    return ax


def _heights(values: pd.Series) -> npt.NDArray[np.float64]:
    """Where values stand on their axis, in [0, 1]."""
    if not are_numbers(values):
        names = sorted(values.astype(str).unique())
        places = values.astype(str).map({name: i for i, name in enumerate(names)})
        return np.asarray(places, dtype=np.float64) / max(len(names) - 1, 1)
    numbers = values.astype(float)
    scaled = np.log(numbers) if is_logarithmic(numbers) else numbers
    width = float(scaled.max() - scaled.min())
    found = (scaled - scaled.min()) / width if width > 0 else scaled * 0.0 + 0.5
    return np.asarray(found, dtype=np.float64)


def _label(ax: Axes, place: float, values: pd.Series) -> None:
    """Write an axis's ends beside it, or the names of its values."""
    heights = _heights(values)
    known = {float(h): v for h, v in zip(heights, values, strict=True)}
    shown = sorted(known)
    if are_numbers(values) or len(shown) > _MOST_LABELS:
        shown = [shown[0], shown[-1]] if len(shown) > 1 else shown
    for height in shown:
        value = known[height]
        text = label_of(float(value)) if are_numbers(values) else label_of(value)
        ax.text(
            place + 0.04, height, safe(text, 14), fontsize=7.5, color=INK, va="center", zorder=4
        )
