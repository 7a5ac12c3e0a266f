"""How well each of several sweeps chose, and which fraction is enough."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.options import ReportOptions
from analysis.questions.methods.fractions import cheapest_fraction, fraction_table
from analysis.results.load import Results
from analysis.sections.shape import Shape
from analysis.tables import Column, Section, Table
from analysis.words import arm_name, interval, minus


def choosing_section(sweeps: Sequence[Results], options: ReportOptions) -> Section | None:
    """Ranking and regret by fraction, and which fraction is enough."""
    frame = fraction_table(
        sweeps, level=options.level, resamples=options.resamples, k=options.top_k
    )
    if frame.empty:
        return None
    shape = Shape.of(sweeps)
    scale = 100.0 if shape.share else 1.0
    frame = frame.assign(
        name=frame["arm"].map(arm_name),
        tau_interval=_intervals(frame, "tau", 1.0),
        regret_interval=_intervals(frame, "regret", scale),
    )
    unit = f" ({shape.points_unit})" if shape.points_unit else ""
    columns = [
        Column("name", "Arm", numeric=False),
        Column("sweep", "Sweep", numeric=False),
        Column("fraction", "Fraction", lambda v: f"{100 * v:g}%"),
        Column("share", "Cost against full", lambda v: f"{100 * v:.3g}%"),
        Column("tau", "Kendall's tau", lambda v: minus(f"{v:.2f}"), note="tau_interval"),
        Column("regret", f"Regret{unit}", shape.points, note="regret_interval"),
        Column("noise", f"Noise of full{unit}", shape.points),
        Column("within", "Within the noise", numeric=False),
    ]
    notes = [
        "Cost: slot time over full training's on the pairs that both finished, the "
        "seed's included where an arm replays. Noise: the regret that repeated full training would "
        "show between two equal configurations, from its three best; unknown with one seed."
    ]
    items = [Table("fractions", "Ranking and regret by fraction", frame, columns, notes)]
    return Section("choosing", "How well each sweep chose", (), (*items, *cheapest_table(frame)))


def cheapest_table(frame: pd.DataFrame) -> list[Table]:
    """Which fraction is enough; nothing where no strategy was tried at two fractions.

    Args:
        frame: The result of :func:`analysis.questions.methods.fractions.fraction_table`.
    """
    enough = cheapest_fraction(frame)
    if enough.empty:
        return []
    shown = enough.assign(
        name=enough["strategy"].map(arm_name),
        answer=enough["fraction"].map(_answer),
        sure=enough["surely"].map(_answer),
    )
    columns = [
        Column("name", "Strategy", numeric=False),
        Column("dataset", "Data", numeric=False),
        Column("answer", "Cheapest fraction within the noise", numeric=False),
        Column("sure", "By the interval's upper limit", numeric=False),
        Column("tried", "Fractions tried", numeric=False),
    ]
    notes = [
        "The smallest fraction from which on every regret is below the noise of repeated full "
        "training, first by the regret itself, then by the upper limit of its paired bootstrap "
        "interval. None of them: not even the largest, or the noise is not known."
    ]
    return [Table("cheapest_fraction", "Which fraction is enough", shown, columns, notes)]


def _answer(fraction: float) -> str:
    return f"{100 * fraction:g}%" if fraction > 0 else "none of them"


def _intervals(frame: pd.DataFrame, name: str, scale: float) -> list[str]:
    limits = zip(frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
    return [interval(scale * low, scale * high) for low, high in limits]
