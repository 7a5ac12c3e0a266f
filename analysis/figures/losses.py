"""Losses and agreements over the epochs, a curve per arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures.curves import draw_curves
from analysis.figures.style import axes_or_new, dress, legend, looks


def plot_loss_curves(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    part: str = "training loss",
    arms: Sequence[str] | None = None,
) -> Axes:
    """A part of the training loss over the epochs, the mean over an arm's trials.

    Args:
        frame: The result of :func:`analysis.questions.methods.loss_parts.loss_curves`.
        ax: The axes to draw into; new ones by default.
        part: The part's name, for the axis.
        arms: All arms of the report, so that looks agree between figures.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    handles, names = draw_curves(ax, frame, styles, by="arm", x="epoch", y="loss", marked=False)
    dress(ax, x="Epoch", y=part)
    ax.set_ylim(bottom=0)
    legend(ax, handles, names)
    return ax


def plot_agreement(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    value: str,
    label: str,
    arms: Sequence[str] | None = None,
) -> Axes:
    """How far chosen examples agree with their mini-batch, over the epochs (Jiang et al., Fig. 5).

    Args:
        frame: The result of :func:`analysis.questions.methods.gradient_quality.agreement_by_epoch`.
        ax: The axes to draw into; new ones by default.
        value: ``cosine`` or ``same_sign``.
        label: The label of the axis.
        arms: All arms of the report, so that looks agree between figures.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    handles, names = draw_curves(ax, frame, styles, by="arm", x="epoch", y=value)
    dress(ax, x="Epoch", y=label)
    legend(ax, handles, names)
    return ax


def plot_example_curves(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    x: str,
    y: str,
    x_label: str,
    y_label: str,
    arms: Sequence[str] | None = None,
) -> Axes:
    """A curve per arm over the examples of a split (Jiang et al., Figs. 3, 8 and 9).

    Args:
        frame: A frame of :class:`analysis.questions.methods.example_losses.ExampleLosses`, of one
            epoch.
        ax: The axes to draw into; new ones by default.
        x: Column along the axis.
        y: Column of the curve, a share.
        x_label: The label of the axis.
        y_label: The label of the axis.
        arms: All arms of the report, so that looks agree between figures.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    handles, names = draw_curves(ax, frame, styles, by="arm", x=x, y=y, marked=x != "loss")
    dress(ax, x=x_label, y=y_label)
    if x == "loss" and len(frame) and float(frame[x].max()) > 0:
        # Most losses are near zero and a few are large: a root spreads both over the axis.
        ax.set_xscale("function", functions=(np.sqrt, np.square))
        ax.set_xlim(left=0)
        ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_ylim(0, 1.02)
    legend(ax, handles, names)
    return ax


def plot_probabilities(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Probabilities of selection of a few examples over the epochs (Jiang et al., Fig. 15).

    Args:
        frame: ``example``, ``epoch`` and ``probability``.
        ax: The axes to draw into; new ones by default.
    """
    ax = axes_or_new(ax)
    own = frame.assign(example="example " + frame["example"].astype(str))
    styles = looks(own["example"].unique())
    handles, names = draw_curves(ax, own, styles, by="example", x="epoch", y="probability")
    dress(ax, x="Epoch", y="Probability of selection")
    ax.set_ylim(0, 1.02)
    legend(ax, handles, names)
    return ax
