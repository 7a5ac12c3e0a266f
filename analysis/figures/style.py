"""How every figure looks: one style per arm that reads in colour, in grey and when colour-blind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from analysis.words import arm_name

INK = "#24292f"
MUTED = "#6a737d"
GRID = "#e3e6ea"

# Chosen by search for the largest differences (CIE Lab) under simulated protanopia, deuteranopia
# and tritanopia (Machado et al., 2009), for the first four in lightness too, so that they read in
# grey. Contrast with white is at least 3:1; each has a counterpart for dark pages in the report's
# style sheet, chosen alike.
COLOURS = (
    "#448ef2",  # blue
    "#964009",  # rust
    "#227b4b",  # green
    "#623355",  # plum
    "#b8701a",  # ochre
    "#265680",  # navy
    "#7a5128",  # brown
    "#706eab",  # indigo
)
MARKERS = ("o", "s", "^", "v", "P", "D", "X", "p", "h", "<", ">", "*")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (6, 2, 1.5, 2)),
    (0, (1.5, 1.5)),
    (0, (8, 2, 1.5, 2, 1.5, 2)),
    (0, (3, 1.5)),
)

# Arms that most sweeps have keep their look from report to report.
_FIXED = ("cached", "gradmatch", "random_pb", "random", "gradmatch_pb", "seed")


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of one arm."""

    colour: str
    marker: str
    dashes: Any


def looks(arms: Iterable[str]) -> dict[str, Look]:
    """A look for each arm: fixed for the usual arms, the next free one for any other."""
    names = list(dict.fromkeys(arms))
    result = {arm: _look(_FIXED.index(arm)) for arm in names if arm in _FIXED}
    taken = {_FIXED.index(arm) for arm in result}
    free = (i for i in range(len(names) + len(_FIXED)) if i not in taken)
    for arm in names:
        if arm == "full":
            result[arm] = Look(INK, "X", (0, (1, 1)))
        elif arm not in result:
            result[arm] = _look(next(free))
    return result


def _look(index: int) -> Look:
    return Look(
        COLOURS[index % len(COLOURS)],
        MARKERS[index % len(MARKERS)],
        DASHES[index % len(DASHES)],
    )


class GrowingFigure(Figure):
    """A figure that becomes taller by its legend, so that many arms leave the axes their room."""

    def make_room(self, rows: int) -> None:
        """For a legend of so many rows; the height that was asked for has room for two."""
        self.set_figheight(self.get_figheight() + _LEGEND_ROW_INCHES * max(0, rows - 2))


_LEGEND_ROW_INCHES = 0.19


def new_figure(width: float = 4.6, height: float = 3.1) -> GrowingFigure:
    """An empty figure in inches, sized so that its text is readable on a phone."""
    return GrowingFigure(figsize=(width, height), layout="constrained")


def axes_or_new(ax: Axes | None) -> Axes:
    """The given axes, or fresh ones of pyplot's, which a notebook shows by itself."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt  # only here: pyplot keeps global state

    return plt.subplots(layout="constrained")[1]


def dress(ax: Axes, *, x: str = "", y: str = "", grid: str = "y") -> Axes:
    """Labels, a quiet grid behind the data, two spines, one size of text.

    Args:
        ax: The axes to dress.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        grid: Which grid lines to draw: ``x``, ``y``, ``both``, or the empty string.
    """
    ax.set_axisbelow(True)
    if grid:
        ax.grid(True, axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
        ax.spines[side].set_linewidth(0.8)
    ax.tick_params(labelsize=8.5, colors=INK, width=0.8)
    ax.tick_params(which="both", color=MUTED)
    ax.set_xlabel(safe(x), fontsize=9, color=INK)
    ax.set_ylabel(safe(y), fontsize=9, color=INK)
    return ax


def log_times(ax: Axes) -> None:
    """A logarithmic x axis of ratios with plain labels: 0.5×, 1×, 2×, 5×, 10×."""
    low, high = ax.dataLim.x0, ax.dataLim.x1
    if not 0 < low < high:
        return
    ax.set_xscale("log")
    decades = math.log10(high / low)
    steps: Sequence[float] = (1.0,) if decades > 2.2 else (1.0, 2.0, 5.0)
    if decades < 0.7:
        steps = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    ax.xaxis.set_major_locator(LogLocator(subs=list(steps), numticks=12))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))


_ROUND_SECONDS = np.array(
    [
        *(digit * 10.0**power for power in range(-4, 1) for digit in (1, 2, 5)),
        *(10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 5 * 3600, 10 * 3600, 24 * 3600),
        *(86400.0 * days for days in (2, 5, 10, 20, 50, 100)),
    ]
)


def log_seconds(ax: Axes) -> None:
    """A logarithmic x axis of durations with round labels: 30 s, 2 min, 1 h."""
    low, high = ax.dataLim.x0, ax.dataLim.x1
    if not 0 < low < high:
        return  # a zero among the data: a logarithm would hide it
    ax.set_xscale("log")
    ticks = _ROUND_SECONDS[(low / 1.3 <= _ROUND_SECONDS) & (high * 1.3 >= _ROUND_SECONDS)]
    ticks = ticks[:: 1 + len(ticks) // 8]
    if len(ticks) >= 2:
        ax.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_seconds(value)))


def tick_seconds(value: float) -> str:
    """A round duration in the largest unit that divides it."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} s" if value >= 0.1 else f"{1000 * value:g} ms"


def legend(
    ax: Axes, handles: Sequence[Any], labels: Sequence[str], columns: int | None = None
) -> None:
    """A frameless legend below the axes, where it can hide nothing.

    Args:
        ax: The axes below which it goes.
        handles: The artists to name; without any, nothing is drawn.
        labels: A name for each of them.
        columns: How many entries stand beside each other at the most, if they fit; 3 by default.
    """
    if not handles:
        return
    labels = [safe(label) for label in labels]
    columns = min(columns or 3, _fitting_columns(labels, ax.figure.bbox.width / ax.figure.dpi))
    if isinstance(ax.figure, GrowingFigure):
        ax.figure.make_room(math.ceil(len(labels) / columns))
    ax.figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=2.6,
        columnspacing=1.4,
    )


def _fitting_columns(labels: Sequence[str], width: float) -> int:
    """The most columns whose entries fit into so many inches."""
    entry = [0.55 + 0.066 * len(label) for label in labels]  # handle, gap and text, in inches
    for columns in range(len(labels), 1, -1):
        # A legend fills column by column.
        rows = math.ceil(len(labels) / columns)
        widths = [max(entry[i : i + rows]) for i in range(0, len(labels), rows)]
        if sum(widths) <= width:
            return columns
    return 1


def safe(text: str, width: int = 60) -> str:
    """A user's string as matplotlib text: no mathtext, no hidden legend entry, no endless label."""
    text = text if len(text) <= width else text[: width - 1] + "…"
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def display(arm: str) -> str:
    """An arm's name in a legend."""
    return arm_name(arm)
