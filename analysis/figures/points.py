"""Points: configurations, strategies, offers of time and error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.figures.style import (
    INK,
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


def choice_scales(ax: Axes, known: pd.DataFrame, metric: str) -> None:
    """Logarithmic axes for errors that differ more than fivefold, with the ticks of a small panel.

    Args:
        ax: The axes to scale.
        known: The rows that are drawn, with ``full_score`` and ``score``.
        metric: Name of the metric; errors alone get logarithmic axes.
    """
    for axis, scale, column in (
        (ax.xaxis, ax.set_xscale, "full_score"),
        (ax.yaxis, ax.set_yscale, "score"),
    ):
        if "error" in metric and known[column].min() > 0:
            _logarithmic_errors(axis, scale, known[column])
            if known[column].max() > 30 * known[column].min():
                axis.set_major_locator(LogLocator(subs=[1.0]))


def plot_strategies(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    unit: str = "",
    arms: Sequence[str] | None = None,
) -> Axes:
    """Relative test error against speed-up, one point per strategy and setting (Fig. 3).

    Points on the Pareto front are filled and joined, others hollow; each is labelled with its
    fraction where fractions differ.

    Args:
        frame: The result of :func:`analysis.questions.methods.strategies.scatter`, for one dataset
            and model.
        ax: The axes to draw into; new ones by default.
        unit: The unit of the relative error, for the axis.
        arms: All arms of the report.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    front = frame[frame["pareto"]].sort_values("speedup")
    ax.plot(front["speedup"], front["relative_error"], color=MUTED, lw=1.0, zorder=1)
    handles, names = [], []
    for arm, own in frame.groupby("arm", sort=False):
        look = styles[str(arm)]
        fills = [look.colour if pareto else "#ffffff" for pareto in own["pareto"]]
        ax.scatter(
            own["speedup"],
            own["relative_error"],
            marker=look.marker,
            s=46,
            c=fills,
            edgecolors=look.colour,
            linewidths=1.4,
            zorder=3,
        )
        (proxy,) = ax.plot([], [], marker=look.marker, ls="", color=look.colour, ms=6.5)
        handles.append(proxy)
        names.append(display(str(arm)))
    if frame["fraction"].nunique() > 1:
        for row in frame.itertuples():
            ax.annotate(
                f"{100 * row.fraction:g}%",
                (row.speedup, row.relative_error),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
    suffix = f" ({unit})" if unit else ""
    dress(ax, x="Speed-up over full training", y=f"Test error above full{suffix}", grid="both")
    log_times(ax)
    legend(ax, handles, names)
    return ax


def plot_ablation(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    by: str,
    unit: str = "",
) -> Axes:
    """The same points joined along one setting and labelled with it (Fig. 4).

    Args:
        frame: The result of :func:`analysis.questions.methods.strategies.ablation`, for one dataset
            and model.
        ax: The axes to draw into; new ones by default.
        by: The setting.
        unit: The unit of the relative error, for the axis.
    """
    ax = axes_or_new(ax)
    styles = looks(frame["family"].unique())
    handles, names = [], []
    for name, own in frame.groupby("family", sort=False):
        look = styles[str(name)]
        ordered = own.sort_values(by)
        (line,) = ax.plot(
            ordered["speedup"],
            ordered["relative_error"],
            marker=look.marker,
            color=look.colour,
            ls=look.dashes,
            lw=1.3,
            ms=6,
            mec="white",
            mew=0.7,
        )
        handles.append(line)
        names.append(display(str(name)))
        for row in ordered.to_dict("records"):
            ax.annotate(
                safe(f"{row[by]:g}"),
                (row["speedup"], row["relative_error"]),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
    suffix = f" ({unit})" if unit else ""
    dress(ax, x="Speed-up over full training", y=f"Test error above full{suffix}", grid="both")
    log_times(ax)
    legend(ax, handles, names)
    return ax


def plot_pareto(
    frame: pd.DataFrame, ax: Axes | None = None, *, arms: Sequence[str] | None = None
) -> Axes:
    """The best offers of seconds and error over all trials (Jiang et al., Fig. 14).

    Args:
        frame: The result of :func:`analysis.questions.methods.targets.pareto_points`.
        ax: The axes to draw into; new ones by default.
        arms: All arms of the report.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    ax.step(frame["seconds"], frame["error"], where="post", color=MUTED, lw=1.0, zorder=1)
    handles, names = [], []
    for arm, own in frame.groupby("arm", sort=False):
        look = styles[str(arm)]
        (dots,) = ax.plot(
            own["seconds"],
            own["error"],
            ls="",
            marker=look.marker,
            color=look.colour,
            ms=6,
            mec="white",
            mew=0.6,
        )
        handles.append(dots)
        names.append(display(str(arm)))
    dress(ax, x="Train + select seconds of a trial", y="Test error", grid="both")
    log_seconds(ax)
    if (frame["error"] > 0).all():
        _logarithmic_errors(ax.yaxis, ax.set_yscale, frame["error"])
    legend(ax, handles, names)
    return ax


def plot_schedules(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str = "test metric",
    scale: float = 1.0,
    unit: str = "",
) -> Axes:
    """What schedules of a selector lose against what they save, one look per family.

    Args:
        frame: The result of :func:`schedule_points`, with a column ``family``.
        ax: The axes to draw into; new ones by default.
        metric: Its name, for the axis.
        scale: Factor of what is lost, for ``unit``.
        unit: The unit, for the axis.
    """
    ax = axes_or_new(ax)
    styles = looks(frame["family"].unique())
    front = frame[frame["pareto"]].sort_values("saved")
    ax.plot(100 * front["saved"], scale * front["lost"], color=MUTED, lw=1.0, zorder=1)
    handles, names = [], []
    for name, own in frame.groupby("family", sort=False):
        look = styles[str(name)]
        for row in own.itertuples():
            place = (100 * row.saved, scale * row.lost)
            if np.isfinite(row.lost_sd):
                error = scale * row.lost_sd
                ax.errorbar(*place, yerr=error, color=look.colour, lw=0.9, alpha=0.5, zorder=2)
            fill = look.colour if row.pareto else "#ffffff"
            ax.plot(*place, ls="", marker=look.marker, ms=6.5, color=fill, mec=look.colour, mew=1.4)
            interrupt = f" / {row.interrupt:g}" if np.isfinite(row.interrupt) else ""
            ax.annotate(
                f"{100 * row.start:g}\N{EN DASH}{100 * row.end:g}{interrupt}",
                place,
                xytext=(6, 4),
                textcoords="offset points",
                fontsize=7.5,
                color=INK,
            )
        (proxy,) = ax.plot([], [], marker=look.marker, ls="", color=look.colour, ms=6.5)
        handles.append(proxy)
        names.append(str(name))
    ax.axhline(0.0, color=MUTED, lw=0.8, zorder=0)
    suffix = f" ({unit})" if unit else ""
    dress(ax, x="Seconds saved against full training (%)", y=f"Lost {metric}{suffix}", grid="both")
    legend(ax, handles, names, columns=1 if len(names) < 4 else 2)
    return ax


def _logarithmic_errors(axis: Axis, scale: Callable[[str], None], values: pd.Series) -> None:
    if values.max() <= 5 * values.min():
        return
    scale("log")
    axis.set_major_locator(LogLocator(subs=[1.0, 2.0, 5.0]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
