"""``strategies.parquet``: what the ladder and each rival took and chose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyarrow import fs as pafs

from tune_select.arms import FULL_ARM
from tune_select.search.ladder import LADDER
from tune_select.storage import Folder
from tune_select.sweep.folder.frames import to_parquet

SESSIONS = "strategies.json"
STRATEGIES = "strategies.parquet"


_BEAT_S = 5.0


@dataclass(frozen=True)
class Sessions:
    """When each strategy ran: a sweep that was resumed has several sessions of one.

    Attributes:
        location: The results folder.
    """

    location: str

    @contextmanager
    def running(self, strategy: str, slots: int) -> Iterator[None]:
        """Book the time inside under ``strategy``; of what a kill ends, all but a few seconds.

        Args:
            strategy: Its name.
            slots: Trials that may run at once.
        """
        earlier, started, over = self.read(), time.time(), threading.Event()

        def book() -> None:
            session = {"strategy": strategy, "slots": slots, "started": started}
            session["ended"] = time.time()
            content = json.dumps([*earlier, session], indent=1).encode()
            Folder.at(self.location).write(SESSIONS, content)

        def beat() -> None:
            while not over.wait(_BEAT_S):
                book()

        book()
        watch = threading.Thread(target=beat, name="sessions", daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()
            book()

    def read(self) -> list[dict[str, Any]]:
        """All sessions so far, in order."""
        folder = Folder.at(self.location)
        found = folder.filesystem.get_file_info(folder.file(SESSIONS))
        if found.type == pafs.FileType.NotFound:
            return []
        sessions: list[dict[str, Any]] = json.loads(folder.read(SESSIONS))
        return sessions


def strategies(
    trials: pd.DataFrame,
    sessions: list[dict[str, Any]],
    *,
    metric: str,
    mode: str,
) -> pd.DataFrame:
    """One row per strategy that has run.

    Args:
        trials: Rows of all phases.
        sessions: What ``Sessions.read`` gave.
        metric: The validation metric.
        mode: ``max`` or ``min``.

    Returns:
        ``strategy``, ``started`` and ``ended`` (Unix seconds), ``wall_s`` (of all sessions),
        ``slots``, ``chosen_trial`` and ``chosen_configuration`` (empty and -1 where nothing was
        trained to its end), and the test metric of the choice, its mean over training seeds.
    """
    rows = []
    for name in dict.fromkeys(session["strategy"] for session in sessions):
        own = [session for session in sessions if session["strategy"] == name]
        mine = trials[trials["strategy"] == name]
        rows.append(
            {
                "strategy": name,
                "started": own[0]["started"],
                "ended": own[-1]["ended"],
                "wall_s": sum(session["ended"] - session["started"] for session in own),
                "slots": own[-1]["slots"],
                **chosen(mine, metric, mode),
            }
        )
    return pd.DataFrame(rows)


def chosen(trials: pd.DataFrame, metric: str, mode: str) -> dict[str, Any]:
    """What a strategy chose: of its trainings on all the data to their end, the best.

    Args:
        trials: The strategy's own.
        metric: The validation metric; a configuration counts with its mean over training seeds, at
            the last epoch.
        mode: ``max`` or ``min``.
    """
    test = metric.replace("val_", "test_", 1)
    nothing = {"chosen_trial": "", "chosen_configuration": -1, test: float("nan")}
    if trials.empty or metric not in trials or test not in trials:
        return nothing
    # A ladder that was interrupted may have no training on all the data: then it chose nothing.
    on_rungs = (trials["strategy"] == LADDER) & (trials["arm"] != FULL_ARM)
    whole = trials[~on_rungs & (trials["status"] == "finished") & trials[metric].notna()]
    if whole.empty:
        return nothing
    means = whole.groupby("configuration")[[metric, test]].mean()
    best = means[metric].idxmax() if mode == "max" else means[metric].idxmin()
    own = whole[whole["configuration"] == best].sort_values(metric, ascending=mode == "min")
    return {
        "chosen_trial": str(own["trial_id"].iloc[0]),
        "chosen_configuration": int(best),
        test: float(means.loc[best, test]),
    }


def numbered(rival: pd.DataFrame, ladder: pd.DataFrame, axes: tuple[str, ...]) -> pd.DataFrame:
    """A rival's trials with the numbers that the ladder's configurations have.

    Points that the ladder never saw are numbered on from its last, equals alike.

    Args:
        rival: Rows of trials without numbers.
        ladder: Rows with them.
        axes: Keys that tell points apart, dotted.
    """
    known: dict[str, int] = {}
    for row in ladder.to_dict("records"):
        known.setdefault(_point(row, axes), int(row["configuration"]))
    free = max(known.values(), default=-1) + 1
    numbers = []
    for row in rival.to_dict("records"):
        point = _point(row, axes)
        if point not in known:
            known[point], free = free, free + 1
        numbers.append(known[point])
    return rival.assign(configuration=numbers)


def write_strategies(location: str, frame: pd.DataFrame) -> None:
    """Write ``strategies.parquet`` into a results folder."""
    Folder.at(location).write(STRATEGIES, to_parquet(frame))


def _point(row: Mapping[Any, Any], axes: tuple[str, ...]) -> str:
    values = {axis: row.get(f"config/{axis.replace('.', '/')}") for axis in axes}
    return json.dumps(values, sort_keys=True, default=str)
