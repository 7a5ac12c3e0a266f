"""Fixed-accuracy speed-ups (Cai et al., Tables 1-3) and trade-offs (Figs. 1-3)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.figures.lines import plot_tradeoff
from analysis.options import ReportOptions
from analysis.questions.headline import PAPERS, WAITED
from analysis.questions.speedups import (
    NO_CURVE,
    fixed_accuracy_speedups,
    speedup_table,
    tradeoff,
)
from analysis.results.load import Results
from analysis.results.settings import label_of
from analysis.sections.plots import draw, file_name
from analysis.tables import Column, Plot, Section, Table
from analysis.words import arm_name, axis_name, axis_values, times


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only with full training: everything here is relative to it.

    A ladder's rungs are not compared so: they never look at the test split, and few of their
    configurations are trained in full.
    """
    if "full" not in results.arms() or len(results.strategies):
        return None
    tables = []
    for measure in (WAITED, PAPERS):
        speedups = fixed_accuracy_speedups(results, measure)
        if speedups.empty or _without_curve(speedups):
            return None
        for axis in results.axes or ("all",):
            own = speedups if results.axes else speedups.assign(all="all trials")
            tables.append(axis_table(results, own, axis, measure))
    text = (
        "Fixed-accuracy speed-up: the time at which full training of the same configuration and "
        "seed first surpassed the arm's final test value, over the arm's whole time. Below 1, full "
        "training got there sooner. First with all seconds that a slot was held, then by the "
        "papers' own measure, training plus selection. Geometric mean where a "
        "cell holds several trials; those without a speed-up are named. A replay's seed is not "
        "paid for here."
    )
    plots = tradeoff_plots(results)
    texts = (text, _CURVES) if plots else (text,)
    return Section("speed", "Speed at equal accuracy", texts, (*tables, *plots))


def _without_curve(speedups: pd.DataFrame) -> bool:
    """Whether there is no speed-up to show, since full training's way to its end is not known.

    Other trials may lack one for reasons of their own, as a seed does without a full run beside it.
    """
    return bool(speedups["speedup"].isna().all() and speedups["note"].eq(NO_CURVE).any())


def tradeoff_plots(results: Results) -> list[Plot]:
    """A plot per configuration while they are few; else one per value of each axis."""
    frame = tradeoff(results)
    if frame.empty:
        return []
    arms = results.arms()
    axes = list(results.axes)
    configurations = frame["configuration"].unique()
    groups: list[tuple[str, str, pd.DataFrame]] = []
    if len(configurations) <= _MOST_PLOTS:
        for number, own in frame.groupby("configuration"):
            named = axis_values({axis: own.iloc[0][axis] for axis in axes})
            groups.append((f"configuration_{number}", named or f"configuration {number}", own))
    else:
        for axis in axes:
            values = sorted(frame[axis].map(label_of).unique(), key=value_order)[:_MOST_PLOTS]
            for value in values:
                own = frame[frame[axis].map(label_of) == value]
                groups.append(
                    (f"{file_name(axis)}_{file_name(value)}", f"{axis_name(axis)} = {value}", own)
                )
    return [
        draw(
            f"tradeoff_{name}",
            f"Speed-up and test error: {title}",
            lambda ax, own=own: plot_tradeoff(own, ax, arms=arms),  # type: ignore[misc]
            own,
            alt=_tradeoff_alt(own, title),
        )
        for name, title, own in groups
    ]


_MOST_PLOTS = 8
_CURVES = (
    "In the plots, below and to the right is better; speed-ups there are by the papers' measure. "
    "Along a curve lie points of the last third of training; both axes are relative to the end of "
    "the matching full run, the cross at 1 and 1."
)


def _tradeoff_alt(frame: pd.DataFrame, title: str) -> str:
    ends = frame[frame["arm"] != "full"].groupby("trial_id").tail(1).groupby("arm", sort=False)
    said = [
        f"{arm_name(str(arm))} ends at {own['speedup'].mean():.3g} times the speed and "
        f"{own['relative_error'].mean():.3g} times the error"
        for arm, own in ends
    ]
    return f"Relative test error against speed-up over full training, {title}. {'; '.join(said)}."


def axis_table(results: Results, speedups: pd.DataFrame, axis: str, measure: str = PAPERS) -> Table:
    """One axis of the space as a table of arms by values.

    Args:
        results: The results of one sweep.
        speedups: The result of :func:`fixed_accuracy_speedups`.
        axis: A column of ``speedups``.
        measure: What its seconds are, ``WAITED`` or ``PAPERS``.
    """
    long = speedup_table(speedups, axis)
    values = list(dict.fromkeys(sorted(long["value"], key=value_order)))
    rows: list[dict[str, Any]] = []
    for arm in [a for a in results.arms() if a != "full"]:
        row: dict[str, Any] = {"name": arm_name(arm), "arm": arm}
        for value in values:
            cell = long[(long["arm"] == arm) & (long["value"] == value)]
            row[value] = float(cell["speedup"].iloc[0]) if len(cell) else math.nan
            row[f"{value} note"] = _note(cell)
        rows.append(row)
    frame = pd.DataFrame(rows)
    columns = [Column("name", "Arm", numeric=False)]
    columns += [
        Column(value, f"{axis_name(axis)} = {value}", times, note=f"{value} note")
        for value in values
    ]
    name, counted = ("speedup", "papers' measure")
    if measure == WAITED:
        name, counted = ("waited_speedup", "all seconds")
    return Table(
        f"{name}_{file_name(axis)}",
        f"Speed-up over full training by {axis_name(axis)}, {counted}",
        frame,
        columns,
    )


def _note(cell: pd.DataFrame) -> str:
    if cell.empty:
        return "not run"
    row = cell.iloc[0]
    if not row["note"]:
        return f"{row['trials']} trials" if row["trials"] > 1 else ""
    if row["trials"] == 1:
        return str(row["note"].removesuffix(" (1)"))
    return f"{row['reached']} of {row['trials']} trials; {row['note']}"


def value_order(value: str) -> tuple[int, float, str]:
    """A sort key: numbers by size before words."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
