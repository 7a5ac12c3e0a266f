"""Fixed-accuracy speed-ups (Cai et al., Tables 1-3) and trade-offs (Figs. 1-3)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.load import Results
from analysis.options import ReportOptions
from analysis.speedups import fixed_accuracy_speedups, speedup_table
from analysis.tables import Column, Section, Table
from analysis.words import arm_name, times


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only with full training: everything here is relative to it."""
    if "full" not in results.arms():
        return None
    speedups = fixed_accuracy_speedups(results)
    if speedups.empty:
        return None
    tables = [axis_table(results, speedups, axis) for axis in results.axes]
    if not tables:
        tables = [axis_table(results, speedups.assign(all="all trials"), "all")]
    text = (
        "Fixed-accuracy speed-up: the time at which full training of the same configuration and "
        "seed first surpassed the arm's final test value, over the arm's whole time. Below 1, full "
        "training got there sooner. Both times are training plus selection."
    )
    return Section("speed", "Speed at equal accuracy", (text,), tuple(tables))


def axis_table(results: Results, speedups: pd.DataFrame, axis: str) -> Table:
    """One axis of the space as a table of arms by values."""
    long = speedup_table(speedups, axis)
    values = list(dict.fromkeys(sorted(long["value"], key=_order)))
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
    columns += [Column(value, f"{axis} = {value}", times, note=f"{value} note") for value in values]
    notes = [
        "Geometric mean where a cell holds several trials; those without a speed-up are named."
    ]
    return Table(
        f"speedup_{_file(axis)}", f"Speed-up over full training by {axis}", frame, columns, notes
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


def _order(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value


def _file(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in text)
