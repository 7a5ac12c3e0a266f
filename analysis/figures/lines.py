"""Curves by arm: trade-offs, ranking over time, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures.curves import draw_curves, line_style, mark_style
from analysis.figures.style import (
    MUTED,
    axes_or_new,
    display,
    dress,
    legend,
    log_seconds,
    log_times,
    looks,
    safe,
)
from analysis.questions.axes import ordered
from analysis.questions.learning import learning_curves as learning_curves


def plot_tradeoff(
    frame: pd.DataFrame, ax: Axes | None = None, *, arms: Sequence[str] | None = None
) -> Axes:
    """Speed-up against relative test error, a curve per arm (Cai et al., Figs. 1-3).

    Args:
        frame: The result of :func:`analysis.questions.speedups.tradeoff` or :func:`mean_tradeoff`,
            for one configuration or averaged; a curve per arm joins its points in order of epochs.
        ax: The axes to draw into; new ones by default.
        arms: All arms of the report, so that looks agree between figures.
    """
    ax = axes_or_new(ax)
    curves = mean_tradeoff(frame)
    styles = looks(arms if arms is not None else curves["arm"].unique())
    handles, names = [], []
    for arm, own in curves.groupby("arm", sort=False):
        look = styles[str(arm)]
        if arm == "full":  # its curve leads to (1, 1), the point that everything is relative to
            (line,) = ax.plot([1.0], [1.0], ls="", ms=8, **mark_style(look))
        else:
            (line,) = ax.plot(
                own["speedup"], own["relative_error"], ms=5.5, lw=1.6, **line_style(look)
            )
        handles.append(line)
        names.append(display(str(arm)))
    ax.axhline(1.0, color=MUTED, lw=0.8, zorder=0)
    dress(ax, x="Speed-up over full training", y="Relative test error", grid="both")
    log_times(ax)
    legend(ax, handles, names)
    return ax


def mean_tradeoff(frame: pd.DataFrame) -> pd.DataFrame:
    """One curve per arm: means over configurations and seeds of each of a trial's points.

    Speed-ups are averaged geometrically. Points are matched by their place along the curve, so that
    trials of different lengths can be averaged.
    """
    place = frame.groupby("trial_id").cumcount()
    work = frame.assign(place=place, log_speedup=np.log(frame["speedup"].to_numpy(dtype=float)))
    means = work.groupby(["arm", "place"], sort=False).agg(
        speedup=("log_speedup", "mean"),
        relative_error=("relative_error", "mean"),
        trials=("trial_id", "nunique"),
    )
    return means.assign(speedup=np.exp(means["speedup"])).reset_index()


MOST_BANDS = 3
"""Arms whose bands can be told apart when they overlap."""


def plot_axis(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    axis: str = "value",
    metric: str = "test metric",
    arms: Sequence[str] | None = None,
) -> Axes:
    """A metric along one axis of the space, a curve per arm with the range over seeds.

    Values stand at equal distances: grids over rates are logarithmic, those over noise or kinds
    nothing in particular.

    Args:
        frame: The result of :func:`analysis.questions.axes.axis_frame`.
        ax: The axes to draw into; new ones by default.
        axis: Its name.
        metric: Its name.
        arms: All arms of the report.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    values = ordered(frame["value"].unique())
    placed = frame.assign(place=frame["value"].map(values.index))
    handles, names = draw_curves(ax, placed, styles, by="arm", x="place", y="test")
    ax.set_xticks(range(len(values)), [safe(value, 16) for value in values])
    dress(ax, x=axis, y=metric)
    legend(ax, handles, names)
    return ax


def plot_method_weights(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Weights of the methods of a pool over the selections (Zhang et al., Fig. 8).

    Args:
        frame: The result of :func:`mean_weights`, for one arm and configuration.
        ax: The axes to draw into; new ones by default.
    """
    ax = axes_or_new(ax)
    styles = looks(frame["method"].unique())
    handles, names = draw_curves(ax, frame, styles, by="method", x="step", y="weight", marked=False)
    dress(ax, x="Selections", y="Method weight")
    ax.set_ylim(0, 1.04)
    legend(ax, handles, names)
    return ax


def plot_learning_curves(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str = "test metric",
    arms: Sequence[str] | None = None,
) -> Axes:
    """Test metric against a trial's seconds, the mean over an arm's trials.

    With few arms (``MOST_BANDS``) bands show the quartiles; of more, they would hide each other.

    Args:
        frame: The result of :func:`learning_curves`.
        ax: The axes to draw into; new ones by default.
        metric: The metric's name, for the axis.
        arms: All arms of the report.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    banded = frame["arm"].nunique() <= MOST_BANDS
    drawn = frame if banded else frame.drop(columns=["low", "high"])
    handles, names = draw_curves(ax, drawn, styles, by="arm", x="seconds", y="test")
    dress(ax, x="Slot seconds of a trial", y=metric)
    log_seconds(ax)
    legend(ax, handles, names)
    return ax


def plot_intervals(frame: pd.DataFrame, ax: Axes | None = None, *, value: str = "jaccard") -> Axes:
    """How histories' subsets change, or what they have not used yet, along training.

    Args:
        frame: The result of :func:`interval_table`; with a column ``history``, a line for each.
        ax: The axes to draw into; new ones by default.
        value: ``jaccard`` (with the interval before, beside independent random subsets) or
            ``never_used``.
    """
    ax = axes_or_new(ax)
    known = frame.dropna(subset=[value])
    named = known if "history" in known else known.assign(history="this history")
    styles = looks(named["history"].unique())
    handles, _ = draw_curves(ax, named, styles, by="history", x="start", y=value)
    names = [str(name) for name in named["history"].unique()]
    if value == "jaccard":
        expected = known.groupby("start")["jaccard_random"].mean()
        style: dict[str, Any] = {"color": MUTED, "lw": 1.3, "ls": (0, (4, 2))}
        (line,) = ax.plot(expected.index, expected, **style)
        handles.append(line)
        names.append("independent random subsets")
    titles = {
        "jaccard": "Jaccard with the interval before",
        "never_used": "Share of examples never used",
    }
    dress(ax, x="Epoch", y=titles.get(value, value))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(bottom=0)
    if len(handles) > 1:
        legend(ax, handles, names, columns=2)
    return ax
