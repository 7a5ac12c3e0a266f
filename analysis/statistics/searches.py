"""Searches replayed on recorded curves: what each would have chosen, and at what cost.

All functions take scores of n configurations, larger is better (-inf for diverged ones), and return
what was chosen with its cost in full trainings, the winner's own included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Found(NamedTuple):
    """A search's choice (an index) and its cost (in full trainings)."""

    choice: int
    cost: float


def rank_sum(*scores: Array) -> Array:
    """The sum of ranks (..., n) over several scores, larger is better; ties share their mean rank.

    Accuracy and loss err differently (a model that overfits has a rising loss): a configuration
    that is good by both is safer than the best by one.
    """
    total = np.zeros_like(scores[0])
    for score in scores:
        above = (score[..., None] > score[..., None, :]).sum(axis=-1)
        equal = (score[..., None] == score[..., None, :]).sum(axis=-1)
        total = total + above + (equal - 1) / 2
    return total


def ladder(
    rungs: Sequence[Array],
    shares: Sequence[float],
    full: Array,
    *,
    keep: float = 3.0,
    confirm: int = 1,
    seed_cost: float = 0.0,
) -> Found:
    """Everything on the lowest rung, the best of each rung on the next, the last on all the data.

    Args:
        rungs: Scores (n,) at the end of each rung's own training, the lowest rung first.
        shares: Of full training's cost, one per rung.
        full: Scores (n,) of full training, by which the confirmed ones are compared.
        keep: One in how many goes up, rounded up.
        confirm: How many of the top rung are trained on all the data.
        seed_cost: Of the seed trial whose subsets the rungs replay.
    """
    alive = np.arange(len(full))
    cost = seed_cost
    for level, (scores, share) in enumerate(zip(rungs, shares, strict=True), start=1):
        cost += share * len(alive)
        left = confirm if level == len(rungs) else max(math.ceil(len(alive) / keep), confirm)
        alive = _best(scores, alive, left)
    return Found(int(_best(full, alive, 1)[0]), cost + len(alive))


def halving(curves: Array, *, eta: float = 3.0, first: int = 1) -> Found:
    """Synchronous successive halving on full training's own curves.

    Jamieson & Talwalkar, 2016; what ASHA tends to with many slots and no luck in the order.

    Args:
        curves: Scores (n, E) after each epoch.
        eta: One in how many goes on at each rung.
        first: Epochs of the first rung.
    """
    n, epochs = curves.shape
    alive, done, cost = np.arange(n), 0, 0.0
    for milestone in milestones(epochs, eta, first):
        cost += len(alive) * (milestone - done) / epochs
        alive = _best(curves[:, milestone - 1], alive, max(int(len(alive) / eta), 1))
        done = milestone
    cost += len(alive) * (epochs - done) / epochs
    return Found(int(_best(curves[:, -1], alive, 1)[0]), cost)


def asha(curves: Array, *, eta: float = 3.0, first: int = 1, slots: int = 2) -> Found:
    """Tune's asynchronous successive halving, in the order in which the configurations stand.

    Li et al., 2020, as ``ASHAScheduler`` does it (``brackets=1``): a trial that reaches a rung
    stops if it is below the upper ``1 / eta`` of what the rung has seen before it.

    Args:
        curves: Scores (n, E) after each epoch.
        eta: Its ``reduction_factor``.
        first: Its ``grace_period``, in epochs.
        slots: Trials that run at once, an epoch of each in turn.
    """
    n, epochs = curves.shape
    seen: dict[int, list[float]] = {m: [] for m in milestones(epochs, eta, first)}
    running: list[list[int]] = []  # [configuration, epochs done]
    waiting = list(range(n))
    finished: list[int] = []
    spent = 0
    while running or waiting:
        while waiting and len(running) < slots:
            running.append([waiting.pop(0), 0])
        for trial in list(running):
            trial[1] += 1
            spent += 1
            configuration, done = trial
            score = float(curves[configuration, done - 1])
            if done == epochs:
                finished.append(configuration)
                running.remove(trial)
            elif done in seen:
                if seen[done] and score < _cutoff(seen[done], eta):
                    running.remove(trial)
                seen[done].append(score)
    ended = np.array(finished)
    return Found(int(_best(curves[:, -1], ended, 1)[0]), spent / epochs)


def hyperband(curves: Array, *, eta: float = 3.0) -> Found:
    """HyperBand: brackets of halving with ever fewer configurations and ever longer first rungs.

    Li et al., 2018, algorithm 1, its brackets filled with the configurations as they come.

    Args:
        curves: Scores (n, E) after each epoch.
        eta: One in how many goes on.
    """
    n, epochs = curves.shape
    deepest = int(math.log(epochs) / math.log(eta) + 1e-9)
    start, cost, winners = 0, 0.0, []
    while start < n:
        for bracket in range(deepest, -1, -1):
            size = math.ceil((deepest + 1) / (bracket + 1) * eta**bracket)
            own = curves[start : start + size]
            if not len(own):
                break
            found = halving(own, eta=eta, first=max(round(epochs / eta**bracket), 1))
            winners.append(start + found.choice)
            cost += found.cost
            start += size
    return Found(int(_best(curves[:, -1], np.array(winners), 1)[0]), cost)


def some_fully(full: Array, *, count: int) -> Found:
    """Random search: the first ``count`` are trained to their end, and the best is taken."""
    tried = np.arange(min(count, len(full)))
    return Found(int(_best(full, tried, 1)[0]), float(len(tried)))


def milestones(epochs: int, eta: float, first: int) -> list[int]:
    """Epochs at which a rung is judged, the end itself left out.

    Args:
        epochs: Of a whole training.
        eta: Factor from one rung to the next.
        first: Epochs of the first rung.
    """
    found, at = [], float(first)
    while round(at) < epochs:
        found.append(round(at))
        at *= eta
    return found


def _cutoff(seen: Sequence[float], eta: float) -> float:
    """As Tune's: the percentile of what the rung has seen; those that diverged lie below all."""
    finite = [score for score in seen if math.isfinite(score)]
    lowest = min(finite, default=0.0) - 1.0
    known = [score if math.isfinite(score) else lowest for score in seen]
    return float(np.percentile(known, (1 - 1 / eta) * 100))


def _best(scores: Array, among: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """The best ``count`` of some configurations; of equals, the first."""
    order = np.argsort(-scores[among], kind="stable")
    return among[order[:count]]
