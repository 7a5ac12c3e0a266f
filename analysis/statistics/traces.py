"""What a search did on recorded trainings, step by step: its price, and what it held for best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FULL = -1
"""The rung of a step of full training."""


class Step(NamedTuple):
    """A piece of training.

    Attributes:
        configuration: Its index.
        start: Epochs that were done before it; 0 on a rung.
        end: Epochs that are done after it; on a rung, which trains its whole schedule, 0.
        rung: Number of the rung whose own training this is, or ``FULL``.
    """

    configuration: int
    start: int
    end: int
    rung: int = FULL


class Trace(NamedTuple):
    """A search's choice (an index) and all that it trained, in order."""

    choice: int
    steps: list[Step]


@dataclass(frozen=True)
class Prices:
    """What the trainings of n configurations cost, in one unit.

    Attributes:
        full: The price of full training, by the end of each epoch, (n, E), rising.
        rungs: The price of each rung's own training, (R, n).
        seed: What is paid before the first step: the seed trials that the rungs replay.
    """

    full: Array
    rungs: Array
    seed: float = 0.0

    def spent(self, steps: Sequence[Step]) -> Array:
        """What has been spent by the end of each step, (T,), the seed trials' price included."""
        done = np.asarray(steps, dtype=np.int64).reshape(-1, 4)
        configuration, start, end, rung = done.T
        curve = np.concatenate([np.zeros((len(self.full), 1)), self.full], axis=1)
        cost = curve[configuration, end] - curve[configuration, start]
        on_rung = rung != FULL
        cost[on_rung] = self.rungs[rung[on_rung], configuration[on_rung]]
        return np.asarray(self.seed + np.cumsum(cost))


def incumbents(steps: Sequence[Step], full: Array, rungs: Array) -> Indices:
    """The configuration that a search would name after each step, (T,).

    Metrics of different rungs do not compare, so the best of the highest rung that has seen anyone
    is named. On full training's own curves it is the best of those at their end, and before the
    first is, the best of all by their latest values, which is what Tune names.

    Args:
        steps: The steps of a search.
        full: Full training's scores after each epoch, (n, E), larger is better.
        rungs: Scores at the end of each rung's own training, (R, n).
    """
    epochs = full.shape[1]
    latest: dict[int, tuple[int, float]] = {}  # by configuration: how far it came, its score there
    best = -1
    named = np.empty(len(steps), dtype=np.int64)
    for place, (configuration, _, end, rung) in enumerate(steps):
        if rung == FULL:
            stage = len(rungs) + 1 if end == epochs else 0
            now = stage, float(full[configuration, end - 1])
        else:
            now = rung, float(rungs[rung, configuration])
        latest[configuration] = now
        if configuration == best:  # its score may have fallen
            best = max(latest, key=lambda number: latest[number])
        elif best < 0 or now > latest[best]:
            best = configuration
        named[place] = best
    return named


def along(spent: Array, values: Array, budgets: Array) -> Array:
    """The value (G,) that holds at each budget; NaN before the first step is paid for.

    Args:
        spent: What was spent by the end of each step, (T,), rising.
        values: The values from the end of each step on, (T,).
        budgets: Where to look, (G,).
    """
    place = np.searchsorted(spent, budgets * (1 + 1e-9), side="right") - 1
    return np.where(place >= 0, values[np.maximum(place, 0)], np.nan)
