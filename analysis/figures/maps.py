"""Heat maps whose lightness alone carries the value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap

from analysis.figures.style import INK, axes_or_new, dress, safe

Array = npt.NDArray[np.float64]

# Light to dark in one hue: reads in grey. Fixed colours, with text that contrasts with each.
_STEPS = LinearSegmentedColormap.from_list("steps", ["#f3f7fb", "#9cc3e0", "#2f78b0", "#0b3358"])


def plot_similarity(frame: pd.DataFrame, ax: Axes | None = None, *, value: str = "cosine") -> Axes:
    """Pairwise similarity of histories' w-scores (Cai et al., Table 5), numbers in the cells.

    Args:
        frame: The result of :func:`analysis.questions.histories.similarity_table`.
        ax: The axes to draw into; new ones by default.
        value: ``cosine`` or ``overlap``.
    """
    ax = axes_or_new(ax)
    names = list(dict.fromkeys([*frame["first"], *frame["second"]]))
    matrix = np.full((len(names), len(names)), np.nan)
    for row in frame.to_dict("records"):
        i, j = names.index(row["first"]), names.index(row["second"])
        matrix[j, i] = row[value]
    cells = matrix[1:, :-1]
    _mesh(ax, cells, np.linspace(0, 1, 11))
    for (i, j), number in np.ndenumerate(cells):
        if np.isfinite(number):
            # Not the pages' own white and black: the cells keep their colours on dark pages.
            colour = "#fdfdfd" if number > 0.6 else "#101418"
            ax.text(j, i, f"{number:.2f}", ha="center", va="center", fontsize=8.5, color=colour)
    short = [safe(name, 26) for name in names]
    ax.set_xticks(range(len(names) - 1), short[:-1], rotation=25, ha="right")
    ax.set_yticks(range(len(names) - 1), short[1:])
    return dress(ax, grid="")


def plot_class_balance(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of each class in each interval's subset, relative to its share of the training set.

    Args:
        frame: The result of :func:`class_balance`, with a column ``name`` for the classes.
        ax: The axes to draw into; new ones by default.
    """
    ax = axes_or_new(ax)
    ratio = frame.assign(ratio=frame["share"] / frame["train_share"])
    wide = ratio.pivot(index="name", columns="start", values="ratio")
    wide = wide.reindex(list(dict.fromkeys(frame["name"])))
    edges = np.array([0.0, 0.5, 0.8, 0.95, 1.05, 1.25, 2.0, max(2.01, float(np.nanmax(wide)))])
    mesh = _mesh(ax, wide.to_numpy(dtype=float), edges)
    ax.set_yticks(range(len(wide)), [safe(str(name), 18) for name in wide.index])
    every = max(1, len(wide.columns) // 8)
    ticks = range(0, len(wide.columns), every)
    ax.set_xticks(ticks, [str(wide.columns[i]) for i in ticks])
    dress(ax, x="Epoch", grid="")
    bar = ax.figure.colorbar(mesh, ax=ax, ticks=edges[:-1], pad=0.02, aspect=30)
    bar.set_label("Share in the subset / share in the data", fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=8, colors=INK)
    bar.outline.set_visible(False)
    return ax


def _mesh(ax: Axes, values: Array, edges: Array) -> QuadMesh:
    """Cells centred on whole numbers, the first row on top; NaN stays empty."""
    rows, columns = values.shape
    x, y = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    norm = BoundaryNorm(edges, _STEPS.N)
    mesh = ax.pcolormesh(x, y, np.ma.masked_invalid(values), cmap=_STEPS, norm=norm)
    ax.set_ylim(rows - 0.5, -0.5)
    for side in ax.spines.values():
        side.set_visible(False)
    return mesh


def plot_parameters(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A parameter's distribution over training, darker where more of its entries lie.

    Args:
        frame: The result of :func:`analysis.questions.parameters.over_time`.
        ax: The axes to draw into; new ones by default.
    """
    ax = axes_or_new(ax)
    wide = frame.pivot(index="low", columns="epoch", values="share")
    epochs = wide.columns.to_numpy(dtype=float)
    x = np.concatenate([epochs - 0.5, [epochs[-1] + 0.5]])
    lows = wide.index.to_numpy(dtype=float)
    y = np.concatenate([lows, [float(frame["high"].max())]])
    shown = np.ma.masked_less_equal(wide.to_numpy(dtype=float), 0.0)
    ax.pcolormesh(x, y, shown, cmap=_STEPS, vmin=0.0)
    return dress(ax, x="Epoch", y="Value", grid="")
