"""The last thing a user sees on the terminal: the decision table and the verdict."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

import analysis
from analysis.questions.headline import decision_table
from analysis.questions.verdict import verdict

_COLUMNS = (
    ("arm", "arm", ""),
    ("trials", "trials", "d"),
    ("failed", "failed", "d"),
    ("train s", "train_s", ".1f"),
    ("select s", "select_s", ".1f"),
    ("best", "best", ".3f"),
    ("mean", "mean", ".3f"),
    ("times faster", "speedup", ".1f"),
    ("seed paid", "speedup_with_seed", ".1f"),  # with the seed trial's own cost counted
)


def show_summary(folder: Path, console: Console) -> None:
    """Print the arms of a results folder side by side, and what replay bought."""
    results = analysis.load(folder)
    table = Table(
        title=f"{results.name}: test {results.metric} and seconds by arm",
        box=SIMPLE,
        padding=(0, 1),
        collapse_padding=True,
    )
    for title, _, _ in _COLUMNS:
        table.add_column(title, justify="left" if title == "arm" else "right", min_width=5)
    for row in decision_table(results).to_dict("records"):
        table.add_row(*(_text(row[column], form) for _, column, form in _COLUMNS))
    console.print(table)
    console.print(verdict(results).sentence)


def _text(value: Any, form: str) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "-" if missing else format(value, form)
