"""Greedy maximisation of facility location: choose examples that cover all others well.

``F(S) = sum_i max_{j in S} s_ij`` is monotone and submodular for similarities s >= 0, so that the
greedy set reaches at least (1 - 1/e) of the best (Nemhauser, Wolsey and Fisher 1978).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_CANDIDATES = 32  # rows evaluated at once: enough to fill the vector units, few enough to be lazy


def greedy_facility_location(similarity: Tensor, budget: int) -> Tensor:
    """Choose ``budget`` rows greedily, and lazily (Minoux 1978).

    A row's gain can only fall as the set grows, so that an old gain bounds a new one: only the rows
    of the highest bounds are evaluated again, until one of them beats all other bounds. The result
    is that of the plain greedy algorithm.

    Args:
        similarity: (m, n), non-negative; row j says how well j would cover every i.
        budget: k, in [1, m].

    Returns:
        int64 (k,) row numbers in the order of choice.
    """
    covered = torch.zeros_like(similarity[0])
    bounds = similarity.sum(1)
    chosen = []
    for _ in range(budget):
        width = min(_CANDIDATES, bounds.shape[0])
        while True:
            # One bound more than rows are looked at: what the best of these must beat. Above it, no
            # row that was left alone can gain more, for its gain is at most its bound.
            highest, rows = bounds.topk(min(width + 1, bounds.shape[0]))
            # F(S + j) - F(S): what row j covers better than all that was chosen, summed over i.
            gains = (similarity[rows[:width]] - covered).clamp_(min=0.0).sum(1)
            bounds[rows[:width]] = torch.where(highest[:width] < 0.0, -1.0, gains)
            best, where = bounds[rows[:width]].max(0)
            if highest.shape[0] <= width or float(best) >= float(highest[width]):
                break
            # Doubled, or a flat set of bounds would cost a pass over them for every few rows.
            width = min(2 * width, bounds.shape[0])
        row = int(rows[where])
        chosen.append(row)
        covered = torch.maximum(covered, similarity[row])
        bounds[row] = -1.0  # below any gain: never again
    return torch.tensor(chosen)


def stochastic_facility_location(
    similarity: Tensor, budget: int, *, epsilon: float, generator: torch.Generator
) -> Tensor:
    """Choose ``budget`` rows, each the best of a random sample (Mirzasoleiman et al. 2015).

    Samples of ``(m / k) ln(1 / epsilon)`` rows reach (1 - 1/e - epsilon) of the best in
    expectation, for ``m ln(1 / epsilon)`` evaluations altogether.

    Args:
        similarity: (m, n), non-negative.
        budget: k, in [1, m].
        epsilon: The tolerance, in (0, 1).
        generator: A CPU generator.

    Returns:
        int64 (k,) row numbers in the order of choice.
    """
    rows = similarity.shape[0]
    sample = sample_size(rows, budget, epsilon)
    covered = torch.zeros_like(similarity[0])
    free = torch.arange(rows)
    chosen = []
    for _ in range(budget):
        # Drawn with replacement, a sample misses all r rows of the best set that are not chosen yet
        # with probability (1 - r / m)^sample <= exp(-r sample / m): hence its size for epsilon.
        picks = torch.unique(torch.randint(free.shape[0], (sample,), generator=generator))
        gains = (similarity[free[picks].to(similarity.device)] - covered).clamp_(min=0.0).sum(1)
        position = int(picks[int(gains.argmax())])
        row = int(free[position])
        chosen.append(row)
        covered = torch.maximum(covered, similarity[row])
        free[position] = free[-1].clone()
        free = free[:-1]
    return torch.tensor(chosen)


def sample_size(rows: int, budget: int, epsilon: float) -> int:
    """Size of stochastic greedy's samples, ``(m / k) ln(1 / epsilon)``, at least 1.

    Args:
        rows: Candidates m.
        budget: Number k to choose.
        epsilon: Distance from greedy's guarantee in expectation, in (0, 1).
    """
    return max(1, min(rows, math.ceil(rows / budget * math.log(1.0 / epsilon))))


def cluster_sizes(similarity: Tensor, chosen: Tensor) -> Tensor:
    """How many of the n columns each chosen row covers best, float64 (k,).

    Every chosen row keeps itself (rows and columns are the same examples), also beside a duplicate.
    """
    nearest = similarity[chosen.to(similarity.device)].argmax(0).cpu()
    nearest[chosen] = torch.arange(chosen.shape[0])
    return torch.bincount(nearest, minlength=chosen.shape[0]).double()
