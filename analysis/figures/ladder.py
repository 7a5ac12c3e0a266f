"""Ladder and rivals: regret against what was spent, and the configurations' way up the rungs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.figures.curves import line_style
from analysis.figures.style import INK, MUTED, axes_or_new, dress, legend, log_seconds, looks, safe

_FEW = 40  # places that a linear axis can show


def plot_regret(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    cost: str = "Cost",
    seconds: bool = False,
    scale: float = 1.0,
    unit: str = "",
) -> Axes:
    """Regret of what a search holds for best, against what it has spent; the lower left is best.

    Args:
        frame: The result of :func:`analysis.questions.ladder.anytime.regret_curves`, or of
            :func:`analysis.questions.ladder.live.live_curves` (which has no band), with a column
            ``name``.
        ax: The axes to draw into; new ones by default.
        cost: The cost of the horizontal axis.
        seconds: Whether ``cost`` is in seconds, not in shares.
        scale: Factor of the regret, for ``unit``.
        unit: The unit of the regret, for the axis.
    """
    ax = axes_or_new(ax)
    styles = looks(frame["name"].unique())
    handles, names = [], []
    for name, own in frame.groupby("name", sort=False):
        look = styles[str(name)]
        if "low" in own:
            low, high = scale * own["low"], scale * own["high"]
            ax.fill_between(own["cost"], low, high, step="post", color=look.colour, alpha=0.1, lw=0)
        every = max(1, len(own) // 8)
        (line,) = ax.plot(
            own["cost"],
            scale * own["regret"],
            drawstyle="steps-post",
            lw=1.7,
            ms=5,
            markevery=every,
            **line_style(look),
        )
        handles.append(line)
        names.append(str(name))
    suffix = f" ({unit})" if unit else ""
    dress(ax, x=cost, y=f"Regret{suffix}", grid="both")
    ax.set_ylim(bottom=-0.02 * max(ax.dataLim.y1, 1e-12))  # a line at zero is seen
    if seconds:
        log_seconds(ax)
    else:
        _log_shares(ax)
    legend(ax, handles, names, columns=2)
    return ax


def _log_shares(ax: Axes) -> None:
    """A logarithmic x axis of shares in per cent with round labels."""
    low, high = ax.dataLim.x0, ax.dataLim.x1
    if not 0 < low < high:
        return
    ax.set_xscale("log")
    rounded = [digit * 10.0**power for power in range(-4, 1) for digit in (1, 2, 5)]
    ticks = [value for value in rounded if low / 1.2 <= value <= high * 1.2]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))


def plot_winners(
    frame: pd.DataFrame, ax: Axes | None = None, *, scale: float = 1.0, unit: str = ""
) -> Axes:
    """By how much the own choice is better than each rival's, with intervals.

    Args:
        frame: The result of :func:`analysis.questions.ladder.answer.answer_table`, rivals alone,
            with a column ``name``.
        ax: The axes to draw into; new ones by default.
        scale: Factor of the differences, for ``unit``.
        unit: The unit of the differences, for the axis.
    """
    ax = axes_or_new(ax)
    places = list(range(len(frame)))[::-1]
    for place, row in zip(places, frame.to_dict("records"), strict=True):
        low, high = scale * row["low"], scale * row["high"]
        if math.isfinite(low) and math.isfinite(high):
            ax.plot([low, high], [place, place], color=MUTED, lw=1.6, solid_capstyle="butt")
        ax.plot([scale * row["difference"]], [place], marker="o", color=INK, ms=6)
    ax.axvline(0.0, color=MUTED, lw=0.8, zorder=0)
    ax.set_yticks(places, [safe(str(name), 24) for name in frame["name"]])
    ax.set_ylim(-0.6, len(frame) - 0.4)
    suffix = f" ({unit})" if unit else ""
    return dress(ax, x=f"Own choice better by{suffix}", grid="x")


def plot_way_up(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Every configuration's place on each rung that it trained on, joined from rung to rung.

    Filled marks went up or were chosen, hollow ones stayed. Those that came highest have a colour
    each and their number beside them.

    Args:
        frame: The result of :func:`analysis.questions.ladder.climb.way_up`.
        ax: The axes to draw into; new ones by default.
    """
    ax = axes_or_new(ax)
    rungs = frame.drop_duplicates("rung").sort_values("rung")
    position = {rung: place for place, rung in enumerate(rungs["rung"])}
    finalists = frame[frame["finalist"]]["configuration"].unique()
    styles = looks([str(number) for number in finalists])
    # Those who stayed low first: the finalists' lines lie above theirs.
    for number, own in sorted(frame.groupby("configuration"), key=lambda pair: len(pair[1])):
        own = own.sort_values("rung")
        look = styles.get(str(number))
        colour = look.colour if look else MUTED
        x = own["rung"].map(position)
        line = look.dashes if look else "-"
        ax.plot(x, own["place"], color=colour, lw=1.8 if look else 0.7, ls=line, zorder=2)
        highest = own["rung"] == own["rung"].max()
        full = own["went_up"] | (own["chosen"] & highest)
        fills = [colour if filled else "#ffffff" for filled in full]
        ax.scatter(
            x,
            own["place"],
            s=34 if look else 12,
            marker=look.marker if look else "o",
            c=fills,
            edgecolors=colour,
            linewidths=1.2 if look else 0.8,
            zorder=3,
        )
        if look:
            last = own.iloc[-1]
            chosen = " (chosen)" if last["chosen"] else ""
            ax.annotate(
                f"{number}{chosen}",
                (position[last["rung"]], last["place"]),
                xytext=(7, -3),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
    ax.set_xticks(range(len(rungs)), [safe(str(name), 14) for name in rungs["rung_name"]])
    ax.set_xlim(-0.25, len(rungs) - 0.3)  # room for the last numbers
    dress(ax, x="Rung", y="Place on the rung (1 is best)", grid="x")
    _places(ax, int(frame["place"].max()))
    return ax


def _places(ax: Axes, last: int) -> None:
    """Best on top; a logarithmic axis for more places than a linear one can show."""
    if last > _FEW:
        ax.set_yscale("log")
        steps = [d * 10**p for p in range(math.ceil(math.log10(last)) + 1) for d in (1, 2, 5)]
        ax.yaxis.set_major_locator(FixedLocator([s for s in steps if s <= last]))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_ylim(last * 1.15, 0.8)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylim(last + 0.7, 0.3)
    ticks = np.asarray(ax.get_yticks())
    if 1 not in ticks and last <= _FEW:
        shown = [1, *(int(tick) for tick in ticks if 2 < tick <= last)]
        ax.yaxis.set_major_locator(FixedLocator(shown))
