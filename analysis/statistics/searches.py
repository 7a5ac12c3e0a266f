"""Searches of full training's own curves: what each would have trained, and have chosen.

All functions take scores of n configurations, larger is better (-inf for diverged ones), in the
order in which the configurations come, and return a :class:`~analysis.statistics.traces.Trace`.
"""

from __future__ import annotations

import math
import sys
from bisect import insort
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from analysis.statistics.traces import Step, Trace

Array = npt.NDArray[np.float64]

Proposer = Callable[[Sequence[int], Mapping[int, float]], int]
"""From those that wait and the last scores of those that have ended to who comes next."""


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


def halving(curves: Array, *, eta: float = 3.0, first: int = 1) -> Trace:
    """Synchronous successive halving on full training's own curves.

    Jamieson & Talwalkar, 2016; what ASHA tends to with many slots and no luck in the order.

    Args:
        curves: Scores (n, E) after each epoch.
        eta: One in how many goes on at each rung.
        first: Epochs of the first rung.
    """
    n, epochs = curves.shape
    alive, done = np.arange(n), 0
    steps: list[Step] = []
    for milestone in milestones(epochs, eta, first):
        steps += [Step(int(number), done, milestone) for number in alive]
        alive = _ranked(curves[:, milestone - 1], alive)[: max(int(len(alive) / eta), 1)]
        done = milestone
    steps += [Step(int(number), done, epochs) for number in alive]
    return Trace(int(_ranked(curves[:, -1], alive)[0]), steps)


def asha(
    curves: Array,
    *,
    eta: float = 3.0,
    first: int = 1,
    slots: int = 2,
    propose: Proposer | None = None,
    trials: int | None = None,
) -> Trace:
    """Tune's asynchronous successive halving.

    Li et al., 2020, as ``ASHAScheduler`` does it (``brackets=1``): a trial that reaches a rung
    stops if it is below the upper ``1 / eta`` of what the rung has seen before it.

    Args:
        curves: Scores (n, E) after each epoch.
        eta: Its ``reduction_factor``.
        first: Its ``grace_period``, in epochs.
        slots: Trials that run at once, an epoch of each in turn.
        propose: Who starts next; in the order in which the configurations stand where ``None``.
        trials: How many configurations are started; all of them where ``None``.
    """
    n, epochs = curves.shape
    seen: dict[int, list[float]] = {m: [] for m in milestones(epochs, eta, first)}  # sorted
    running: list[list[int]] = []  # [configuration, epochs done]
    waiting, left = list(range(n)), n if trials is None else min(trials, n)
    ended: dict[int, float] = {}
    finished: list[int] = []
    steps: list[Step] = []
    while running or left:
        while left and len(running) < slots:
            following = waiting[0] if propose is None else propose(waiting, ended)
            waiting.remove(following)
            running.append([following, 0])
            left -= 1
        for trial in list(running):
            configuration, done = trial[0], trial[1] + 1
            trial[1] = done
            steps.append(Step(configuration, done - 1, done))
            score = float(curves[configuration, done - 1])
            over = done == epochs
            if over:
                finished.append(configuration)
            elif done in seen:
                over = bool(seen[done]) and score < _cutoff(seen[done], eta)
                insort(seen[done], score)
            if over:
                running.remove(trial)
                ended[configuration] = score
    return Trace(int(_ranked(curves[:, -1], np.array(finished))[0]), steps)


def hyperband(curves: Array, *, eta: float = 3.0) -> Trace:
    """HyperBand: brackets of halving with ever fewer configurations and ever longer first rungs.

    Li et al., 2018, algorithm 1, its brackets filled with the configurations as they come.

    Args:
        curves: Scores (n, E) after each epoch.
        eta: One in how many goes on.
    """
    n, epochs = curves.shape
    deepest = int(math.log(epochs) / math.log(eta) + 1e-9)
    start, winners = 0, []
    steps: list[Step] = []
    while start < n:
        for bracket in range(deepest, -1, -1):
            size = math.ceil((deepest + 1) / (bracket + 1) * eta**bracket)
            own = curves[start : start + size]
            if not len(own):
                break
            found = halving(own, eta=eta, first=max(round(epochs / eta**bracket), 1))
            winners.append(start + found.choice)
            steps += [s._replace(configuration=start + s.configuration) for s in found.steps]
            start += size
    return Trace(int(_ranked(curves[:, -1], np.array(winners))[0]), steps)


def some_fully(curves: Array, *, count: int) -> Trace:
    """Random search: the first ``count`` are trained to their end, and the best is taken."""
    n, epochs = curves.shape
    tried = np.arange(min(count, n))
    steps = [Step(int(number), 0, epochs) for number in tried]
    return Trace(int(_ranked(curves[:, -1], tried)[0]), steps)


def milestones(epochs: int, eta: float, first: int) -> list[int]:
    """Epochs at which a rung is judged, the end itself left out.

    Args:
        epochs: The epochs of a whole training.
        eta: Factor from one rung to the next.
        first: Epochs of the first rung.
    """
    found, at = [], float(first)
    while round(at) < epochs:
        found.append(round(at))
        at *= eta
    return found


def _cutoff(seen: Sequence[float], eta: float) -> float:
    """As Tune's: the percentile of what the rung has seen; those that diverged lie below all.

    Args:
        seen: Sorted, the smallest first.
        eta: One in how many goes on.
    """
    at = (1 - 1 / eta) * (len(seen) - 1)  # linear between two, as NumPy's percentile
    # Between two infinite scores, or an infinite one and another, there would be no number.
    below, above = (max(seen[i], -sys.float_info.max) for i in (math.floor(at), math.ceil(at)))
    return below + (at - math.floor(at)) * (above - below)


def _ranked(scores: Array, among: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Some configurations, the best first; of equals, the first."""
    return among[np.argsort(-scores[among], kind="stable")]
