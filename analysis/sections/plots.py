"""From a drawing function to a figure of the report."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.panels import panels_height
from analysis.figures.style import new_figure
from analysis.figures.svg import to_svg
from analysis.tables import Plot
from analysis.words import arm_name


def draw(
    name: str,
    title: str,
    plot: Callable[[Axes], object],
    frame: pd.DataFrame,
    *,
    alt: str,
    caption: str = "",
    height: float = 3.1,
    width: float = 4.6,
) -> Plot:
    """Draw onto a fresh figure.

    Args:
        name: File name, unique in the report.
        title: Heading.
        plot: Draws onto the axes it is given.
        frame: The numbers drawn, for the CSV file beside the figure.
        alt: The text for those who do not see it.
        caption: How to read it.
        height: The height in inches.
        width: The width in inches; wider than the default is too small to read on a phone.
    """
    figure = new_figure(width, height)
    plot(figure.subplots())
    return Plot(name, title, to_svg(figure), frame, alt, caption)


def medians(frame: pd.DataFrame, column: str) -> str:
    """The medians of a column by arm, as a sentence for those who do not see the figure."""
    of = frame.groupby("arm", sort=False)[column].median()
    return "Medians: " + "; ".join(f"{arm_name(str(a))} {v:.3g}" for a, v in of.items()) + "."


def draw_panels(
    name: str,
    title: str,
    plot: Callable[[Figure], object],
    frame: pd.DataFrame,
    *,
    arms: int,
    alt: str,
    caption: str = "",
) -> Plot:
    """Draw a panel per arm; arguments as in :func:`draw`, ``arms`` the number of panels."""
    figure = new_figure(height=panels_height(arms))
    plot(figure)
    return Plot(name, title, to_svg(figure), frame, alt, caption)


def bar_height(bars: int) -> float:
    """Inches for so many horizontal bars with their axis and legend."""
    return 1.05 + 0.34 * max(bars, 2)


def file_name(text: str) -> str:
    """A user's string as a part of a file name and of an identifier."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in text)
