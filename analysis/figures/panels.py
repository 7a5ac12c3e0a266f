"""A small panel per arm, the other arms in grey behind it, where one pair of axes muddles them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.points import choice_scales
from analysis.figures.style import (
    GRID,
    INK,
    MUTED,
    Look,
    display,
    dress,
    log_seconds,
    looks,
    new_figure,
    safe,
)

_COLUMNS = 2  # more are too narrow for a phone
_PANEL_INCHES = 1.5
_TITLES = {"tau": "Kendall's tau against full training", "recall": "Top-k recall"}


def panels_height(arms: int) -> float:
    """Inches for a figure of so many panels."""
    return 0.55 + _PANEL_INCHES * math.ceil(arms / _COLUMNS)


def plot_anytime_panels(
    frame: pd.DataFrame,
    figure: Figure | None = None,
    *,
    value: str = "tau",
    arms: Sequence[str] | None = None,
) -> Figure:
    """Kendall's tau or top-k recall against the seconds spent on the sweep, a panel per arm.

    The arm's line is the mean over training seeds, its band their range; grey lines are the other
    arms, the dotted one full training's other seeds.

    Args:
        frame: The result of :func:`analysis.questions.anytime.anytime`.
        figure: The figure to draw into; a new one by default.
        value: ``tau`` or ``recall``.
        arms: All arms of the report.
    """
    curves = _mean_anytime(frame, value)

    def one(ax: Axes, arm: str, look: Look) -> None:
        for other, own in curves.groupby("arm", sort=False):
            if other == "full":
                ax.plot(own["seconds"], own["mean"], color=INK, lw=1.0, ls=(0, (1, 1)))
            elif other != arm:
                ax.plot(own["seconds"], own["mean"], color=MUTED, lw=0.7, alpha=0.45)
        own = curves[curves["arm"] == arm]
        ax.fill_between(own["seconds"], own["low"], own["high"], color=look.colour, alpha=0.2, lw=0)
        ax.plot(own["seconds"], own["mean"], color=look.colour, lw=2.0)

    shown = [str(arm) for arm in curves["arm"].unique() if arm != "full"]
    return _panels(
        figure,
        shown,
        looks(arms if arms is not None else [*shown, "full"]),
        one,
        labels=("Seconds spent on the sweep", _TITLES.get(value, value)),
        finish=lambda ax: _anytime_axes(ax, float(curves["low"].min())),
    )


def _mean_anytime(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """One curve per arm: means over training seeds by epoch, and their range.

    Returns:
        ``arm``, ``epoch``, ``seconds``, ``mean``, ``low``, ``high``.
    """
    by_epoch = frame.dropna(subset=[value]).groupby(["arm", "epoch"], sort=False)
    return by_epoch.agg(
        seconds=("seconds", "mean"), mean=(value, "mean"), low=(value, "min"), high=(value, "max")
    ).reset_index()


def _anytime_axes(ax: Axes, lowest: float) -> None:
    log_seconds(ax)
    ax.set_ylim(min(0.0, lowest) - 0.04, 1.06)


def plot_choice_panels(
    frame: pd.DataFrame,
    figure: Figure | None = None,
    *,
    metric: str = "metric",
    arms: Sequence[str] | None = None,
) -> Figure:
    """Each configuration's score in an arm against its score in full training, a panel per arm.

    Joined in full training's order: a perfect ranking rises without a fall. The thin line is where
    both are equal.

    Args:
        frame: The result of :func:`analysis.questions.choice.choice_points`.
        figure: The figure to draw into; a new one by default.
        metric: The metric's name, for the axes.
        arms: All arms of the report.
    """
    known = frame[np.isfinite(frame[["score", "full_score"]]).all(axis=1)]
    ends = [
        float(known[["score", "full_score"]].min().min()),
        float(known[["score", "full_score"]].max().max()),
    ]

    def one(ax: Axes, arm: str, look: Look) -> None:
        own = known[known["arm"] == arm].sort_values("full_score")
        ax.plot(ends, ends, color=MUTED, lw=0.7)
        ax.plot(
            own["full_score"],
            own["score"],
            color=look.colour,
            marker=look.marker,
            lw=0.9,
            ms=5.5,
            mec="white",
            mew=0.6,
        )

    shown = [str(arm) for arm in known["arm"].unique()]
    return _panels(
        figure,
        shown,
        looks(arms if arms is not None else shown),
        one,
        labels=(f"Full training, {metric}", f"Arm, {metric}"),
        finish=lambda ax: choice_scales(ax, known, metric),
    )


def _panels(
    figure: Figure | None,
    arms: Sequence[str],
    styles: dict[str, Look],
    one: Callable[[Axes, str, Look], None],
    *,
    labels: tuple[str, str],
    finish: Callable[[Axes], None],
) -> Figure:
    figure = figure if figure is not None else new_figure(height=panels_height(len(arms)))
    rows = math.ceil(len(arms) / _COLUMNS)
    grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for place, ax in enumerate(grid.flat):
        if place >= len(arms):
            ax.set_visible(False)
            # The axis that a shared column would have labelled here belongs to the panel above.
            grid.flat[place - _COLUMNS].tick_params(labelbottom=True)
            continue
        one(ax, arms[place], styles[arms[place]])
        dress(ax, grid="both")
        ax.grid(True, color=GRID, linewidth=0.8)
        ax.set_title(safe(display(arms[place]), 28), fontsize=9, color=INK, loc="left")
        finish(ax)
    figure.supxlabel(safe(labels[0]), fontsize=9, color=INK)
    figure.supylabel(safe(labels[1]), fontsize=9, color=INK)
    return figure
