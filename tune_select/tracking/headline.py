"""The report's headline numbers as metrics of the sweep's run."""

from __future__ import annotations

import csv
import math
from pathlib import Path

# By table of the report: columns that are worth a chart beside other sweeps, and their names there.
_COLUMNS = {
    "arms.csv": {
        "best": "best",
        "mean": "mean",
        # What the user waited for, and what the papers would say.
        "waited_speedup": "waited_speedup",
        "speedup": "papers_speedup",
        "speedup_with_seed": "papers_speedup_with_seed",
        "total_s": "slot_s",
        "train_s": "train_s",
        "select_s": "select_s",
        "eval_s": "eval_s",
        "wait_s": "wait_s",
        "startup_s": "startup_s",
    },
    # By strategy where a ladder and its rivals ran; positive says that the sweep's own is better.
    "answer.csv": {
        "test": "test",
        "wall_s": "wall_s",
        "slot_s": "slot_s",
        "difference": "own_choice_better_by",
        "low": "own_choice_better_by_low",
        "high": "own_choice_better_by_high",
    },
    # By strategy replayed on the recorded curves and what ranked: costs are shares of training all.
    "replayed.csv": {
        "cost_seconds": "cost_seconds",
        "cost_examples": "cost_examples",
        "regret": "regret",
        "regret_low": "regret_low",
        "regret_high": "regret_high",
    },
    "choosing.csv": {"tau": "kendall_tau", "regret": "regret"},
}


def headline_metrics(folder: Path, wall_s: float = math.nan) -> dict[str, float]:
    """What the report of a results folder says of each arm.

    Args:
        folder: Results folder with ``tables/``; tables or columns that are not there are left out.
        wall_s: How long all of the sweep's commands took together, where that is known.

    Returns:
        ``<arm>/<number>`` such as ``cached/waited_speedup``: accuracy as fractions, times in
        seconds, speed-ups as ratios of full training's seconds to the arm's: ``waited_speedup`` of
        all that slots were held for, the seed paid for, ``papers_speedup`` of training and
        selection alone; and ``sweep/wall_s``.
    """
    found = {} if math.isnan(wall_s) else {"sweep/wall_s": wall_s}
    for table, columns in _COLUMNS.items():
        path = folder / "tables" / table
        if not path.is_file():
            continue
        with path.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row.get("shown") == "False":  # of a table that shows some of its rows
                    continue
                for column, name in columns.items():
                    value = _number(row.get(column))
                    if value is not None:
                        found[f"{_place(row)}/{name}"] = value
    return found


def _place(row: dict[str, str | None]) -> str:
    """Whose numbers a row of a table holds; a replay's beside those of live strategies."""
    if row.get("by"):
        return f"replayed/{row.get('strategy')} by {row['by']}"
    return str(row.get("arm") or row.get("strategy"))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
