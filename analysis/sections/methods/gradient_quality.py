"""Gradient estimates of mini-batch strategies: Balles et al., Fig. 3; Jiang et al., Fig. 5."""

from __future__ import annotations

import pandas as pd

from analysis.figures.bars import plot_gradient_errors
from analysis.figures.losses import plot_agreement
from analysis.questions.methods.gradient_quality import (
    FILE,
    agreement_by_epoch,
    read_gradient_quality,
)
from analysis.results.load import Results
from analysis.sections.plots import draw, medians
from analysis.tables import Column, Plot, Table
from analysis.words import arm_name

_AXES = {
    "cosine": "Cosine with the mini-batch's gradient",
    "same_sign": "Share of its signs kept",
}


def gradient_quality(results: Results, texts: list[str]) -> list[Table | Plot]:
    """Where the study's file lies in the results folder; ``texts`` gets what is wrong with it."""
    try:
        frame = read_gradient_quality(results.folder)
    except (OSError, ValueError, KeyError) as error:
        texts.append(f"{FILE} could not be read ({error}).")
        return []
    if frame is None or frame.empty:
        return []
    return [_errors(frame), *_agreement(agreement_by_epoch(frame))]


def _errors(frame: pd.DataFrame) -> Plot:
    first = frame[frame["epoch"] == frame["epoch"].min()]
    return draw(
        "gradient_quality",
        "Gradient estimates of mini-batch strategies",
        lambda ax: plot_gradient_errors(first, ax, share_of="Share of mini-batches"),
        first,
        alt="Distribution of squared relative errors of gradient estimates. "
        f"{medians(first, 'squared_error')}",
        caption="Left is better: of the chosen examples' gradient against that of all training "
        f"examples, relative to it; after {first['epoch'].iloc[0]} epochs.",
    )


def _agreement(means: pd.DataFrame) -> list[Table | Plot]:
    if means.empty:
        return []
    columns = [
        Column("name", "Strategy", numeric=False),
        Column("epoch", "After epochs", lambda v: f"{v:g}"),
        Column("cosine", "Cosine", lambda v: f"{v:.3f}"),
        Column("same_sign", "Signs kept", lambda v: f"{100 * v:.1f}%"),
    ]
    shown = means.assign(name=means["arm"].map(arm_name))
    notes = [
        "The chosen examples' gradient beside that of the whole mini-batch they were chosen from; "
        "means over mini-batches and seeds. Signs: of the components that are not zero in the "
        "mini-batch's gradient."
    ]
    title = "Agreement with the whole mini-batch"
    table = Table("gradient_agreement", title, shown, columns, notes)
    if means["epoch"].nunique() < 2:
        return [table]
    return [table, *(_curve(means, value) for value in _AXES)]


def _curve(means: pd.DataFrame, value: str) -> Plot:
    last = means[means["epoch"] == means["epoch"].max()]
    said = "; ".join(f"{arm_name(str(r.arm))} {getattr(r, value):.3g}" for r in last.itertuples())
    return draw(
        f"gradient_agreement_{value}",
        _AXES[value],
        lambda ax: plot_agreement(means, ax, value=value, label=_AXES[value]),
        means,
        alt=f"{_AXES[value]} by epoch. After {last['epoch'].iloc[0]} epochs: {said}.",
    )
