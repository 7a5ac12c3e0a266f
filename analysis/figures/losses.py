"""Losses and agreements over the epochs, a curve per arm."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

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
        frame: Of :func:`analysis.questions.methods.loss_parts.loss_curves`.
        ax: Where to draw.
        part: For the axis.
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
        frame: Of :func:`analysis.questions.methods.gradient_quality.agreement_by_epoch`.
        ax: Where to draw.
        value: ``cosine`` or ``same_sign``.
        label: Of the axis.
        arms: All arms of the report, so that looks agree between figures.
    """
    ax = axes_or_new(ax)
    styles = looks(arms if arms is not None else frame["arm"].unique())
    handles, names = draw_curves(ax, frame, styles, by="arm", x="epoch", y=value)
    dress(ax, x="Epoch", y=label)
    legend(ax, handles, names)
    return ax
