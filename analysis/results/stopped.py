"""A search that ended before its last configuration, and what that saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

PLANNED_FILE = "planned.json"
"""What a sweep with ``tune.stop_when`` would have tried: ``{"configurations": n}``."""


def stopped_note(folder: Path, sweep: Mapping[str, Any], search: pd.DataFrame) -> tuple[str, ...]:
    """One sentence about a search that ended early by its own rule; nothing about any other.

    Args:
        folder: The folder of the results.
        sweep: The resolved ``sweep.yaml``.
        search: The search's trials, with ``slot_s``, ``arm`` and ``configuration``.
    """
    tune = sweep.get("tune")
    rule = tune.get("stop_when") if isinstance(tune, Mapping) else None
    if not isinstance(rule, Mapping) or not (folder / PLANNED_FILE).exists():
        return ()
    planned = int(json.loads((folder / PLANNED_FILE).read_text())["configurations"])
    points = search[search["arm"] != "seed"]
    tried = int(points["configuration"].nunique())
    if not 0 < tried < planned:
        return ()
    left = planned - tried
    saved_s = float(points["slot_s"].sum()) / tried * left
    points_pp = rule.get("regret_pp")
    change = f"{rule.get('regret'):g}" if points_pp is None else f"{points_pp:g} pp"
    return (
        f"The search ended after {tried} of {planned} configurations: the chance that the other "
        f"{left} would change its answer by over {change} was at most "
        f"{100 * float(rule.get('chance', 0.05)):g}%. At the mean of those tried that saved "
        f"{saved_s:.0f} slot-seconds.",
    )
