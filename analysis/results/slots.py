"""When which trial held a slot, how long the command took, and what each strategy chose."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from analysis.files import read_table

STAY_COLUMNS = ("trial_id", "arm", "phase", "started", "ended", "startup_s")
RUN_COLUMNS = ("started", "ended", "slots")


def no_stays() -> pd.DataFrame:
    """The stays of a sweep that recorded none."""
    return pd.DataFrame(columns=list(STAY_COLUMNS))


def no_runs() -> pd.DataFrame:
    """The runs of a sweep that recorded none."""
    return pd.DataFrame(columns=list(RUN_COLUMNS), dtype=float)


def load_stays(path: Path) -> pd.DataFrame:
    """The stays of a results folder, by their start; empty for an old folder or a damaged file."""
    try:
        stays = read_table(path)
    except (FileNotFoundError, ValueError):
        return no_stays()
    if not {"trial_id", "started", "ended"} <= set(stays.columns):
        return no_stays()
    stays = stays.reindex(columns=list(STAY_COLUMNS)).dropna(subset=["started", "ended"])
    stays = stays.assign(phase=stays["phase"].fillna("search"), arm=stays["arm"].fillna(""))
    return stays.sort_values(["started", "ended"], ignore_index=True)


STRATEGY_COLUMNS = (
    *("strategy", "started", "ended", "wall_s", "slots", "chosen_trial", "chosen_configuration"),
)


def no_strategies() -> pd.DataFrame:
    """The strategies of a sweep that compared arms alone."""
    return pd.DataFrame(columns=list(STRATEGY_COLUMNS))


def load_strategies(path: Path) -> pd.DataFrame:
    """What each strategy took and chose; empty for a sweep of arms, or a damaged file."""
    try:
        frame = read_table(path)
    except (FileNotFoundError, ValueError):
        return no_strategies()
    if "strategy" not in frame:
        return no_strategies()
    extra = [column for column in frame.columns if column not in STRATEGY_COLUMNS]
    return frame.reindex(columns=[*STRATEGY_COLUMNS, *extra]).drop_duplicates("strategy")


def load_runs(path: Path) -> pd.DataFrame:
    """The runs of a results folder; empty for an old folder or a damaged file."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        runs = pd.DataFrame(rows, columns=list(RUN_COLUMNS)).astype(float)
    except (OSError, ValueError, TypeError):
        return no_runs()
    return runs.dropna(ignore_index=True)
