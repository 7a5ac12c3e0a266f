"""A line per group, with a band where the frame gives one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.style import Look, display

_MARKS = 8  # about, along a line


def draw_curves(
    ax: Axes,
    frame: pd.DataFrame,
    styles: Mapping[str, Look],
    *,
    by: str,
    x: str,
    y: str,
    marked: bool = True,
) -> tuple[list[Line2D], list[str]]:
    """Draw a line per value of a column, in order of occurrence.

    Args:
        ax: The axes to draw into.
        frame: Columns ``by``, ``x`` and ``y``; with ``low`` and ``high``, a band between them.
        styles: The styles by value of ``by``.
        by: What tells lines apart.
        x: Column along the axis.
        y: Column of the line.
        marked: Whether points on the line are marked.

    Returns:
        Lines and their names, for the legend.
    """
    handles, names = [], []
    for name, own in frame.groupby(by, sort=False):
        look = styles[str(name)]
        if "low" in own:
            ax.fill_between(own[x], own["low"], own["high"], color=look.colour, alpha=0.1, lw=0)
        style = line_style(look) if marked else {"color": look.colour, "ls": look.dashes}
        every = max(1, len(own) // _MARKS)
        (line,) = ax.plot(own[x], own[y], lw=1.7, ms=5, markevery=every, **style)
        handles.append(line)
        names.append(display(str(name)))
    return handles, names


def line_style(look: Look) -> dict[str, Any]:
    """Of a marked line."""
    return {**mark_style(look), "linestyle": look.dashes}


def mark_style(look: Look) -> dict[str, Any]:
    """Of a mark alone."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "markeredgecolor": "white",
        "markeredgewidth": 0.7,
    }
