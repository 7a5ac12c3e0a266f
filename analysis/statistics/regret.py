"""What choosing by a cheap ranking loses, without and with promotion of the best few."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import comb

from analysis.statistics.ranking import places, seed_mean

Array = npt.NDArray[np.float64]


def regret(scores: Array, reference: Array, outcome: Array) -> Array:
    """What choosing by ``scores`` instead of ``reference`` costs in ``outcome``.

    Args:
        scores: The arm's (..., n), larger is better.
        reference: Full training's own (..., n), by which full training would choose.
        outcome: What is lost or won (..., n), larger is better.

    Returns:
        Mean outcome of the reference's best minus mean outcome of the scores' best (means over
        ties), (...); negative when the arm chose better on ``outcome``. NaN when a choice has no
        outcome, because full training diverged there.
    """
    missing = np.isnan(scores) | np.isnan(reference)
    return _chosen(reference, missing, outcome) - _chosen(scores, missing, outcome)


def promoted_regret(scores: Array, reference: Array, outcome: Array, k: int) -> Array:
    """What is lost by promoting the best ``k`` by ``scores`` to full training.

    The arm promotes its best ``k``; full training (``reference``) then chooses among these. With
    ``k`` = 1 this is :func:`regret`. Entries tied at the edge are promoted at random, and the value
    is the expectation over that: constant scores promote ``k`` at random. Scores that are not
    finite (diverged) are never promoted. Equal references: the first is taken.

    Args:
        scores: The arm's (..., n), larger is better.
        reference: Full training's own (..., n).
        outcome: What is lost or won (..., n), larger is better.
        k: How many are promoted, at least 1.

    Returns:
        (...); NaN where nothing can be promoted or what is chosen has no outcome.
    """
    missing = np.isnan(scores) | np.isnan(reference)
    chance = _chosen_among_promoted(np.where(missing, -np.inf, scores), reference, k)
    # What has no chance may have no finite outcome either: zero times that would be no number.
    total = (chance * np.where(chance > 0, outcome, 0.0)).sum(axis=-1)
    kept = np.where(chance.sum(axis=-1) > 0, total, np.nan)
    return np.asarray(_chosen(reference, missing, outcome) - kept)


def _chosen_among_promoted(scores: Array, reference: Array, k: int) -> Array:
    """Probability (..., n) of being the reference's best among the scores' best ``k``."""
    usable = np.isfinite(scores)
    size = np.minimum(k, usable.sum(axis=-1))
    share = places(scores, size)
    sure, tied = (share == 1) & usable, (share > 0) & (share < 1) & usable
    number = tied.sum(axis=-1, keepdims=True)
    free = (size - sure.sum(axis=-1))[..., None]  # places that the tied draw for
    n = reference.shape[-1]
    better = reference[..., None, :] > reference[..., :, None]
    better |= (reference[..., None, :] == reference[..., :, None]) & np.tri(n, n, -1, dtype=bool)
    beaten = (better & sure[..., None, :]).any(axis=-1)
    above = (better & tied[..., None, :]).sum(axis=-1)  # tied rivals that would be kept instead
    # Of the ways to give the free places to the tied, all equally likely, those count in which no
    # better one is kept: the better tied rivals ("above") must all be left out, so the free places
    # go to the others, and a tied one that is to win takes one of them itself.
    ways = comb(number, free)
    chance = np.where(sure, comb(number - above, free), 0.0)
    chance += np.where(tied, comb(number - above - 1, free - 1), 0.0)
    return np.where(beaten, 0.0, chance / ways)


def _chosen(scores: Array, missing: npt.NDArray[np.bool_], outcome: Array) -> Array:
    known = np.where(missing, -np.inf, scores)
    top = known.max(axis=-1, keepdims=True)
    best = (known == top) & ~missing & np.isfinite(top)
    count = best.sum(axis=-1)
    total = np.where(best, outcome, 0.0).sum(axis=-1)
    return np.asarray(total / np.where(count > 0, count, np.nan))


def regret_of(cube: Array) -> Array:
    """Regret of seed-averaged choices, of cubes (..., 3, C, S) from :func:`choice_cube`."""
    scores, reference, outcome = (seed_mean(cube[..., i, :, :]) for i in range(3))
    return regret(scores, reference, outcome)


def promoted_regret_of(cube: Array, k: int) -> Array:
    """Regret after promoting ``k``, of cubes (..., 4, C, S): :func:`choice_cube`, numbered.

    The fourth layer numbers the configurations: one that a bootstrap drew twice is promoted once.
    """
    scores, reference, outcome = (seed_mean(cube[..., i, :, :]) for i in range(3))
    numbers = cube[..., 3, :, :].max(axis=-1)
    n = numbers.shape[-1]
    again = ((numbers[..., :, None] == numbers[..., None, :]) & np.tri(n, n, -1, dtype=bool)).any(
        axis=-1
    )
    return promoted_regret(np.where(again, np.nan, scores), reference, outcome, k)


def numbered(cube: Array) -> Array:
    """The cube (A, C, S) with a further layer (A + 1, C, S) that numbers its configurations."""
    numbers = np.broadcast_to(np.arange(cube.shape[1], dtype=float)[:, None], cube.shape[1:])
    return np.concatenate([cube, numbers[None]])
