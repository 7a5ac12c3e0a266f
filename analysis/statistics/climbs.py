"""Ladders replayed on many draws of the configurations at once.

A ladder that waits for a whole rung sorts, so that thousands of its replays are a few sorts of
arrays; searches that decide trial by trial are in :mod:`analysis.statistics.searches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.statistics.searches import rank_sum
from analysis.statistics.traces import FULL, Step

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Climbs:
    """What ladders did on N draws of n configurations each, on R rungs below full training.

    Attributes:
        choice: Place of the chosen configuration in its draw, (N,).
        trained: Who trained on each rung, and in the last row in full, (R + 1, N, n).
        standing: What those on a rung were ranked by, larger is better; NaN for the others,
            (R + 1, N, n).
    """

    choice: npt.NDArray[np.int64]
    trained: npt.NDArray[np.bool_]
    standing: Array

    def spent(self, prices: Array) -> Array:
        """What each climb cost, (N,).

        Args:
            prices: The prices of each training, (R + 1, N, n).
        """
        return np.asarray(np.where(self.trained, prices, 0.0).sum(axis=(0, 2)))

    def steps(self, draw: int, epochs: int) -> list[Step]:
        """One climb as the trainings that it made, rung by rung, in the order of the draw.

        Args:
            draw: Which climb.
            epochs: The epochs of full training.
        """
        last = len(self.trained) - 1
        return [
            Step(int(number), 0, epochs, FULL) if rung == last else Step(int(number), 0, 0, rung)
            for rung, who in enumerate(self.trained[:, draw])
            for number in np.flatnonzero(who)
        ]


def climb_many(
    scores: Sequence[Array], metric: Array, *, keep: float = 3.0, confirm: int = 1
) -> Climbs:
    """Everybody on the lowest rung, the best of each rung on the next, the last on all the data.

    The rules are those of ``tune_select.search.ladder`` with ``asynchronous: false``: one in
    ``keep`` of those on a rung goes up, rounded up; who diverged never does; ranks are among those
    on the rung; equals stand in the order of the metric and then of the draw. Of the highest rung
    ``confirm`` are trained in full, and the next best in place of one whose full training diverged.

    Args:
        scores: Each score that ranks, at the end of each rung's own training, (R, N, n), larger is
            better and -inf for what diverged; the ranks of several are summed.
        metric: The metric on each rung and, last, at the end of full training, (R + 1, N, n).
        keep: One in how many goes up.
        confirm: How many of the highest rung are trained on all the data.
    """
    below, draws, size = scores[0].shape
    alive = np.ones((draws, size), dtype=bool)
    trained, standing = [], []
    order = np.tile(np.arange(size), (draws, 1))
    for rung in range(below):
        seen = [np.where(alive, score[rung], np.nan) for score in scores]
        now = seen[0] if len(seen) == 1 else np.where(alive, rank_sum(*seen), np.nan)
        trained.append(alive)
        standing.append(now)
        # Sorted by minus what is good: NaN, who is not on the rung, comes last.
        order = np.lexsort((-metric[rung], -np.where(np.isnan(now), -np.inf, now), ~alive), axis=-1)
        usable = alive & np.isfinite(metric[rung])
        if rung < below - 1:
            quota = np.ceil(alive.sum(axis=-1, keepdims=True) / keep)
            alive = _first(order, usable, usable, quota)
    confirmed = _first(order, usable, np.isfinite(metric[-1]), np.full((draws, 1), confirm))
    final = np.where(confirmed, metric[-1], np.nan)
    best = np.where(np.isnan(final), -np.inf, final)
    # Of equals the first of the draw; where nothing is left, whoever stood first on the last rung.
    choice = np.where(np.isfinite(best).any(axis=-1), best.argmax(axis=-1), order[:, 0])
    return Climbs(choice, np.stack([*trained, confirmed]), np.stack([*standing, final]))


def _first(
    order: npt.NDArray[np.int64],
    among: npt.NDArray[np.bool_],
    counted: npt.NDArray[np.bool_],
    quota: Array,
) -> npt.NDArray[np.bool_]:
    """The first of an order until ``quota`` of them count, (N, n).

    Args:
        order: Places, the best first, (N, n).
        among: Who may be taken, (N, n).
        counted: Who uses up a place, (N, n).
        quota: Places, (N, 1).
    """
    may = np.take_along_axis(among, order, axis=-1)
    uses = may & np.take_along_axis(counted, order, axis=-1)
    taken = may & (uses.cumsum(axis=-1) - uses < quota)
    found = np.zeros_like(among)
    np.put_along_axis(found, order, taken, axis=-1)
    return found
