"""What the slots of a search did: trials' work, and what lay between trials, row by row.

The rows add up: slots times the search's wall-clock is the work of trials (training, selection,
evaluation, waiting, start-up and what passes between a trial's reports) plus the time that slots
stood empty (before their first trial, between two trials, after their last).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.results.frames import SECONDS_COLUMNS, START_UP
from analysis.results.load import Results, of_search

WORKS = (
    ("train_s", "training"),
    ("select_s", "selection"),
    ("eval_s", "evaluation"),
    ("wait_s", "waiting for a subset"),
    (START_UP, "start-up of trials"),
)
REPORTS = "reports and checkpoints"
BEFORE, BETWEEN, AFTER = "before a first trial", "between trials", "after the last trial"


@dataclass(frozen=True)
class Occupancy:
    """How busy the slots of a search were.

    Attributes:
        slots: Trials that could run at once.
        wall_s: Seconds from the first trial's start to the last one's end, pauses between a
            sweep and its resume left out.
        busy: Share of ``slots * wall_s`` in which a trial held its slot.
        rows: ``work``, ``seconds`` (slot-seconds) and ``share`` of ``slots * wall_s``; they add
            up to it.
        stays: The search's stays with the ``slot`` (from 0) that each is drawn on.
    """

    slots: int
    wall_s: float
    busy: float
    rows: pd.DataFrame
    stays: pd.DataFrame


def wall_seconds(results: Results) -> float:
    """Wall-clock of the whole sweep, all phases and Ray's own start; NaN where not recorded.

    Of a call of the command that was killed, the time from its first trial to its last is known.
    """
    return wall_clock(results.runs, results.slots)


def wall_clock(runs: pd.DataFrame, stays: pd.DataFrame) -> float:
    """As ``wall_seconds``, from the two frames alone.

    Args:
        runs: Calls of the command, ``Results.runs``.
        stays: When trials held slots, ``Results.slots``.
    """
    if not len(runs):
        return math.nan
    calls = [runs, _killed(runs, stays)]
    return sum(float((call["ended"] - call["started"]).sum()) for call in calls)


def held_seconds(results: Results) -> float:
    """How long all trials held slots; a training that several cells show counts once."""
    return float(results.paid(results.trials)["slot_s"].sum())


def _killed(runs: pd.DataFrame, stays: pd.DataFrame) -> pd.DataFrame:
    """``started``, ``ended`` and ``slots`` of calls that ended before they could note it."""
    began = stays["started"].to_numpy(dtype=float)[:, None]
    noted = (runs["started"].to_numpy() <= began) & (began <= runs["ended"].to_numpy())
    lost = stays[~noted.any(axis=1)]
    rows = [
        (own["started"].min(), own["ended"].max(), _at_once(own))
        for _, own in lost.groupby(_session(runs, lost))
    ]
    return pd.DataFrame(rows, columns=["started", "ended", "slots"], dtype=float)


def occupancy(results: Results) -> Occupancy | None:
    """What the slots did during the search; ``None`` where the sweep did not record it."""
    stays = of_search(results.slots)
    if not len(stays):
        return None
    slots = _slots(results, stays)
    placed = pd.concat(
        [_placed(own, slots) for _, own in stays.groupby(_session(results.runs, stays))],
        ignore_index=True,
    )
    wall_s = _wall(placed)
    empty = _empty(placed, slots)
    held_s = float((placed["ended"] - placed["started"]).sum())
    own = results.search[results.search["trial_id"].isin(placed["trial_id"])]
    work = {name: float(own[column].sum()) for column, name in WORKS}
    work[REPORTS] = max(held_s - sum(work.values()), 0.0)
    seconds = work | empty
    rows = pd.DataFrame({"work": list(seconds), "seconds": list(seconds.values())})
    whole_s = slots * wall_s
    share = rows["seconds"] / whole_s if whole_s > 0 else math.nan
    busy = held_s / whole_s if whole_s > 0 else math.nan
    return Occupancy(slots, wall_s, busy, rows.assign(share=share), placed)


def rest_seconds(trials: pd.DataFrame) -> float:
    """What trials held their slots for beyond what they measured themselves."""
    measured = trials[[*SECONDS_COLUMNS, START_UP]].sum(axis=1, min_count=1)
    return float((trials["slot_s"] - measured).clip(lower=0.0).sum())


def _slots(results: Results, stays: pd.DataFrame) -> int:
    """What the sweep recorded, or as many as ever ran at once."""
    if len(results.runs) and results.runs["slots"].max() >= 1:
        return int(
            max(results.runs["slots"].max(), *_killed(results.runs, results.slots)["slots"], 1)
        )
    return _at_once(stays)


def _at_once(stays: pd.DataFrame) -> int:
    """How many trials ever held slots at the same time."""
    steps = pd.concat(
        [pd.Series(1, index=stays["started"]), pd.Series(-1, index=stays["ended"])]
    ).sort_index(kind="stable")
    # At equal times ends come first: a trial that follows another does not run beside it.
    steps = steps.groupby(level=0).sum()
    return max(int(steps.cumsum().max()), 1)


def _session(runs: pd.DataFrame, stays: pd.DataFrame) -> pd.Series:
    """Which run of the command each stay belongs to: a resume's pause is nobody's time."""
    starts = np.sort(runs["started"].to_numpy(dtype=float))
    place = np.searchsorted(starts, stays["started"].to_numpy(dtype=float), side="right")
    return pd.Series(place, index=stays.index)


def _placed(stays: pd.DataFrame, slots: int) -> pd.DataFrame:
    """Stays of one run with the slot that each is drawn on: the one that came free last.

    A trial that follows another takes over its process where it can, so that the slot which has
    just come free is the one to be filled.
    """
    stays = stays.sort_values(["started", "ended"], ignore_index=True)
    free = np.full(slots, -np.inf)
    chosen = []
    for started, ended in stays[["started", "ended"]].itertuples(index=False):
        ready = np.flatnonzero(free <= started + 1e-3)
        slot = int(ready[free[ready].argmax()] if len(ready) else free.argmin())
        free[slot] = ended
        chosen.append(slot)
    first, last = stays["started"].min(), stays["ended"].max()
    return stays.assign(slot=chosen, first=first, last=last)


def _wall(placed: pd.DataFrame) -> float:
    return float((placed["last"] - placed["first"]).drop_duplicates().sum())


def _empty(placed: pd.DataFrame, slots: int) -> dict[str, float]:
    """Seconds in which slots stood empty, by where in the search."""
    found = dict.fromkeys((BEFORE, BETWEEN, AFTER), 0.0)
    for (first, last), run in placed.groupby(["first", "last"]):
        for slot in range(slots):
            own = run[run["slot"] == slot].sort_values("started")
            if own.empty:
                found[AFTER] += last - first
                continue
            found[BEFORE] += own["started"].iloc[0] - first
            found[AFTER] += last - own["ended"].max()
            gaps = own["started"].to_numpy()[1:] - own["ended"].to_numpy()[:-1]
            found[BETWEEN] += float(gaps.clip(min=0.0).sum())
    return found
