"""Bars and histograms: what was spent on what, w-scores, gradient errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from analysis.figures.style import (
    COLOURS,
    INK,
    MUTED,
    axes_or_new,
    display,
    dress,
    legend,
    looks,
    safe,
)
from analysis.words import bar_name, seconds

# Work phases differ in lightness and hatch as well as hue.
_WORK: dict[str, dict[str, Any]] = {
    "train": {"facecolor": COLOURS[0], "edgecolor": COLOURS[0]},
    "select": {"facecolor": COLOURS[1], "edgecolor": "#ffffff", "hatch": "////"},
    "evaluate": {"facecolor": "#ffffff", "edgecolor": COLOURS[0], "hatch": "\\\\\\"},
    "wait": {"facecolor": "#ffffff", "edgecolor": MUTED},
    "start-up": {"facecolor": MUTED, "edgecolor": MUTED},
    "reports": {"facecolor": "#ffffff", "edgecolor": MUTED, "hatch": "...."},
    "train and select": {"facecolor": COLOURS[0], "edgecolor": COLOURS[0]},
    "forward": {"facecolor": "#ffffff", "edgecolor": COLOURS[0], "hatch": "\\\\\\"},
    "backward": {"facecolor": COLOURS[0], "edgecolor": COLOURS[0]},
    "other": {"facecolor": "#ffffff", "edgecolor": MUTED},
}


def plot_cost(
    frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "Seconds over all trials"
) -> Axes:
    """Seconds by arm as stacked bars by kind of work; promotion a bar apart.

    Args:
        frame: The result of :func:`analysis.questions.cost.phase_frame`, or with its columns.
        ax: The axes to draw into; new ones by default.
        label: The label of the axis.
    """
    return _stacked(frame, "seconds", ax, label=label, form=seconds)


def plot_slots(
    stays: pd.DataFrame, ax: Axes | None = None, *, arms: Sequence[str] | None = None
) -> Axes:
    """What each slot did over the search, a bar per trial; white is a slot that stood empty.

    Args:
        stays: The result of :func:`analysis.questions.occupancy.occupancy`.
        ax: The axes to draw into; new ones by default.
        arms: All arms of the report.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else stays["arm"].unique())
    handles, names = [], []
    for arm, own in stays.groupby("arm", sort=False):
        look = styles[str(arm)]
        handles.append(
            ax.barh(
                own["slot"] + 1,
                own["ended"] - own["started"],
                left=own["started"] - stays["started"].min(),
                height=0.7,
                color=look.colour,
                edgecolor="#ffffff",
                linewidth=0.4,
            )
        )
        names.append(display(str(arm)))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(stays["slot"].max() + 1.6, 0.4)
    dress(ax, x="Seconds of the search", y="Slot", grid="x")
    legend(ax, handles, names)
    return ax


def plot_joules(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Joules by arm as stacked bars of the kinds of work that were told apart.

    Args:
        frame: The result of :func:`analysis.questions.cost.joules_frame`.
        ax: The axes to draw into; new ones by default.
    """
    kilojoules = frame.assign(joules=frame["joules"] / 1000)
    label = "Kilojoules over all trials"
    return _stacked(kilojoules, "joules", ax, label=label, form=lambda v: f"{v:,.3g} kJ")


def _stacked(
    frame: pd.DataFrame, value: str, ax: Axes | None, *, label: str, form: Callable[[float], str]
) -> Axes:
    ax = axes_or_new(ax)
    bars = list(dict.fromkeys(zip(frame["arm"], frame["phase"], strict=True)))
    wide = frame.pivot(index=["arm", "phase"], columns="work", values=value).reindex(bars)
    place, left = np.arange(len(bars)), np.zeros(len(bars))
    handles, names = [], []
    for work, style in _WORK.items():
        if work not in wide:
            continue
        width = wide[work].fillna(0.0).to_numpy()
        handles.append(ax.barh(place, width, left=left, height=0.62, linewidth=0.8, **style))
        names.append(work)
        left = left + width
    for y, total in zip(place, left, strict=True):
        ax.annotate(
            form(float(total)),
            (total, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    ax.set_yticks(place, [safe(bar_name(*bar), 26) for bar in bars])
    ax.invert_yaxis()
    dress(ax, x=label, grid="x")
    _room_for_labels(ax, left)
    legend(ax, handles, names, columns=4)
    return ax


def plot_limits(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Each arm's speed-up beside its limit.

    Args:
        frame: The result of :func:`analysis.questions.cost.limit_table`.
        ax: The axes to draw into; new ones by default.
    """
    ax = axes_or_new(ax)
    styles = looks(frame["arm"])
    for y, row in enumerate(frame.itertuples()):
        look = styles[str(row.arm)]
        ax.plot([0, row.speedup], [y, y], color=look.colour, lw=2.2, solid_capstyle="butt")
        ax.plot([row.speedup], [y], marker=look.marker, ms=8, color=look.colour)
        ax.plot([row.limit, row.limit], [y - 0.3, y + 0.3], color=INK, lw=1.6)
        ax.annotate(
            f"{row.speedup:.3g}× of {row.limit:.3g}×",
            (max(row.speedup, row.limit), y),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    ax.set_yticks(range(len(frame)), [safe(display(str(arm)), 24) for arm in frame["arm"]])
    ax.invert_yaxis()
    dress(ax, x="Speed-up over full training (bar: its limit)", grid="x")
    _room_for_labels(ax, frame[["speedup", "limit"]].max(axis=1).to_numpy(dtype=float), 1.45)
    return ax


def plot_w_scores(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Histogram of w-scores (Cai et al., Fig. 6), counts on a logarithmic scale.

    Args:
        frame: The result of :func:`score_histogram`; its first row, the examples never selected, is
            a bar of its own left of zero.
        ax: The axes to draw into; new ones by default.
    """
    ax = axes_or_new(ax)
    never, rest = frame.iloc[0], frame.iloc[1:]
    width = float((rest["high"] - rest["low"]).iloc[0]) if len(rest) else 1.0
    bars = ax.bar(
        rest["low"],
        rest["examples"],
        width=rest["high"] - rest["low"],
        align="edge",
        color=COLOURS[0],
        edgecolor="#ffffff",
        linewidth=0.4,
    )
    lone = ax.bar(
        [-1.6 * width],
        [never["examples"]],
        width=1.2 * width,
        facecolor="#ffffff",
        edgecolor=COLOURS[1],
        hatch="////",
        linewidth=0.9,
    )
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.7)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}" if v >= 1 else ""))
    ax.yaxis.set_minor_locator(NullLocator())
    dress(ax, x="w-score (epochs at average weight)", y="Training examples")
    legend(ax, [bars, lone], ["selected", "never selected"])
    return ax


def plot_gradient_errors(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    arms: Sequence[str] | None = None,
    share_of: str = "Share of selections",
) -> Axes:
    """Distribution of squared relative gradient errors by arm (Balles et al., Fig. 3).

    Args:
        frame: The result of :func:`gradient_errors`.
        ax: The axes to draw into; new ones by default.
        arms: All arms of the report.
        share_of: What is counted, for the axis.
    """
    ax = axes_or_new(ax)
    positive = frame[frame["squared_error"] > 0]
    styles = looks([*(arms or []), *positive["arm"].unique()])
    edges = np.geomspace(
        positive["squared_error"].min(), positive["squared_error"].max() * 1.001, 25
    )
    handles, names = [], []
    for arm, own in positive.groupby("arm", sort=False):
        look = styles[str(arm)]
        share, _ = np.histogram(own["squared_error"], bins=edges)
        line = ax.stairs(share / max(len(own), 1), edges, color=look.colour, lw=1.8, ls=look.dashes)
        handles.append(line)
        names.append(display(str(arm)))
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    dress(ax, x="Squared relative gradient error", y=share_of)
    legend(ax, handles, names)
    return ax


def gradient_errors(epochs: pd.DataFrame, reference: str = "random subset") -> pd.DataFrame:
    """Squared gradient errors, one row per selection: ``arm``, ``trial_id``, ``squared_error``.

    The random subsets measured beside the selections are the arm ``reference``.
    """
    frames = []
    for column, name in (("gradient_error", None), ("random_gradient_error", reference)):
        if column not in epochs:
            continue
        known = epochs[np.isfinite(epochs[column].astype(float))]
        frames.append(
            pd.DataFrame(
                {
                    "arm": known["arm"] if name is None else name,
                    "trial_id": known["trial_id"],
                    "squared_error": known[column].astype(float) ** 2,
                }
            )
        )
    columns = ["arm", "trial_id", "squared_error"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _room_for_labels(ax: Axes, ends: Any, factor: float = 1.2) -> None:
    finite = np.asarray(ends, dtype=float)
    finite = finite[np.isfinite(finite)]
    ax.set_xlim(0, factor * float(finite.max()) if finite.size and finite.max() > 0 else 1.0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
