"""Regret of what each strategy would have named, by the slot-seconds it had taken, as it ran."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.ladder.answer import (
    OWN,
    names_of,
    strategies_of,
    whole_trainings,
)
from analysis.questions.ladder.climb import rank_by, ranked
from analysis.results.load import Results
from analysis.results.outcomes import FINISHED

Array = npt.NDArray[np.float64]

COLUMNS = ("strategy", "cost", "configuration", "regret")
_LOOKS = 120  # along a curve


class Report(NamedTuple):
    """What a trial had shown at some moment.

    Attributes:
        time: Unix seconds.
        configuration: Its number.
        seed: The seed of training.
        stage: How far it had come: its rung; of a rival, 1 at its end and 0 before.
        by: What ranks among equals of that stage.
        metric: Signed so that larger is better.
        loss: The validation loss, or NaN.
    """

    time: float
    configuration: int
    seed: int
    stage: int
    by: str
    metric: float
    loss: float


def live_curves(results: Results) -> pd.DataFrame:
    """What the configuration that each strategy held for best loses, against what it had taken.

    The truth is full training's test metric, averaged over training seeds, whichever strategy
    trained it. A ladder holds for best the best of the highest rung that has seen anyone; a rival
    the best of those at their end, before the first is, of all by their latest values.

    Args:
        results: The results of a sweep whose strategies' stays in slots were recorded.

    Returns:
        ``strategy``, ``cost`` (slot-seconds that all its trials had taken), ``configuration`` (the
        one held for best) and ``regret`` against the best that is known, a row per change and the
        end of each strategy. A strategy that held one for best which nobody trained fully is left
        out; empty where not all of the sweep's own configurations were trained fully.
    """
    nothing = pd.DataFrame(columns=list(COLUMNS))
    if not len(results.strategies) or not len(results.slots):
        return nothing
    whole = whole_trainings(results)
    truth = (results.sign * whole.groupby("configuration")["test"].mean()).dropna()
    own = results.trials[strategies_of(results) == OWN]
    if truth.empty or not set(own["configuration"]) <= set(truth.index):
        return nothing
    frames = []
    for name in names_of(results.strategies):
        frame = _curve(results, name)
        if len(frame) and set(frame["configuration"]) <= set(truth.index):
            regret = truth.max() - frame["configuration"].map(truth)
            frames.append(frame.assign(strategy=name, regret=regret))
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)] if frames else nothing


def _curve(results: Results, name: str) -> pd.DataFrame:
    """``cost`` and ``configuration``, a row per change of what is held for best, and the end."""
    trials = results.trials[strategies_of(results) == name]
    stays = results.slots[results.slots["trial_id"].isin(trials["trial_id"])]
    reports = sorted(_reports(results, trials, stays, name == OWN))
    if not reports:
        return pd.DataFrame(columns=["cost", "configuration"])
    latest: dict[int, dict[int, Report]] = {}
    every = max(1, len(reports) // _LOOKS)
    rows: list[tuple[float, int]] = []
    for place, report in enumerate(reports):
        latest.setdefault(report.configuration, {})[report.seed] = report
        last = place == len(reports) - 1
        if place % every and not last and report.stage <= _stage(latest, rows):
            continue
        best = _best(latest)
        if best >= 0 and (last or not rows or rows[-1][1] != best):
            rows.append((report.time, best))
    spent = _spent(stays, np.array([time for time, _ in rows]))
    return pd.DataFrame({"cost": spent, "configuration": [best for _, best in rows]})


def _stage(latest: dict[int, dict[int, Report]], rows: list[tuple[float, int]]) -> int:
    """How far the one has come that was last held for best; -1 before there is one."""
    return max(r.stage for r in latest[rows[-1][1]].values()) if rows else -1


def _reports(
    results: Results, trials: pd.DataFrame, stays: pd.DataFrame, climbs: bool
) -> Iterator[Report]:
    """Every evaluation of a strategy's trials; of a rung's trial its last alone, if it ended.

    Args:
        results: The results of the sweep.
        trials: The strategy's.
        stays: When they held slots.
        climbs: Whether it is a ladder.
    """
    by = rank_by(results)
    epochs = results.epochs[np.isfinite(results.epochs["val"])]
    by_trial = dict(iter(epochs.groupby("trial_id", sort=False)))
    stays_of = dict(iter(stays.groupby("trial_id", sort=False)))
    for trial in trials.to_dict("records"):
        rows, held = by_trial.get(trial["trial_id"]), stays_of.get(trial["trial_id"])
        ended = trial["outcome"] == FINISHED
        if rows is None or held is None or (climbs and not ended):
            continue
        rows = rows.tail(1) if climbs else rows
        times = _times(held, rows["slot_s"].to_numpy(dtype=float))
        losses = rows["val_loss"] if "val_loss" in rows else pd.Series(math.nan, index=rows.index)
        for place, (time, value, loss) in enumerate(zip(times, rows["val"], losses, strict=True)):
            at_end = ended and place == len(rows) - 1
            stage = int(trial["rung"]) if climbs else int(at_end)
            ranks = by if climbs and trial["arm"] != "full" else "accuracy"
            yield Report(
                *(float(time), int(trial["configuration"]), int(trial["seed"]), stage, ranks),
                *(results.sign * float(value), float(loss)),
            )


def _times(stays: pd.DataFrame, held_s: Array) -> Array:
    """When a trial had held slots for so many seconds, over all its stays."""
    own = stays.sort_values("started")
    lengths = (own["ended"] - own["started"]).to_numpy(dtype=float)
    before = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    place = np.clip(np.searchsorted(before, held_s, side="left") - 1, 0, len(own) - 1)
    within = np.minimum(held_s - before[place], lengths[place])
    return np.asarray(own["started"].to_numpy(dtype=float)[place] + within)


def _spent(stays: pd.DataFrame, times: Array) -> Array:
    """Slot-seconds that some trials had taken by each time."""
    started, ended = (stays[name].to_numpy(dtype=float) for name in ("started", "ended"))
    taken = np.minimum(ended[None], times[:, None]) - started[None]
    return np.asarray(taken.clip(min=0.0).sum(axis=1))


def _best(latest: dict[int, dict[int, Report]]) -> int:
    """The configuration held for best; -1 for none."""
    rows = []
    for configuration, by_seed in latest.items():
        highest = max(report.stage for report in by_seed.values())
        own = [report for report in by_seed.values() if report.stage == highest]
        metric = sum(report.metric for report in own) / len(own)
        loss = sum(report.loss for report in own) / len(own)
        rows.append((highest, configuration, own[0].by, metric, loss))
    top = max((row[0] for row in rows), default=-1)
    among = [row for row in rows if row[0] == top]
    if not among:
        return -1
    metrics, losses = (pd.Series([row[k] for row in among], dtype=float) for k in (3, 4))
    return among[ranked(metrics, losses, among[0][2])[0]][1]
