"""The last thing a user sees on the terminal: the decision table and the verdict."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import analysis
from analysis.headline import decision_table
from analysis.verdict import verdict


def show_summary(folder: Path, console: Console) -> None:
    """Print the arms of a results folder side by side, and what replay bought."""
    results = analysis.load(folder)
    frame = decision_table(results)
    metric = f"test {results.metric}"
    table = Table(title=f"{results.name}: {metric} and seconds by arm", title_justify="left")
    columns = {
        "arm": "arm",
        "trials": "trials",
        "failed": "failed",
        "train s": "train_s",
        "select s": "select_s",
        "best": "best",
        "mean": "mean",
        "speed-up": "speedup",
        "with seed": "speedup_with_seed",
    }
    for title in columns:
        table.add_column(title, justify="left" if title == "arm" else "right")
    for row in frame.to_dict("records"):
        table.add_row(*(_text(row[column]) for column in columns.values()))
    console.print(table)
    console.print(verdict(results).sentence)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return str(value)
