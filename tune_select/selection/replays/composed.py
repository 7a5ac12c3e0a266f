"""One history out of several seeds' histories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tune_select.selection.base import Subset
from tune_select.selection.weighting import capped_shares, make_subset


def w_scores(history: Sequence[Subset], epochs: Sequence[int], n: int) -> Tensor:
    """Normalised weights summed over all epochs of a history (Cai et al., section 5.4).

    Args:
        history: One subset per interval.
        epochs: How many epochs each of them was trained on.
        n: Number of training examples.

    Returns:
        float64 (n,); an interval's weights count with mean 1 over its subset.
    """
    scores = torch.zeros(n, dtype=torch.float64)
    for subset, length in zip(history, epochs, strict=True):
        scores[subset.indices] += length * subset.weights.double()
    return scores


def compose_histories(
    histories: Sequence[Sequence[Subset]],
    epochs: Sequence[int],
    n: int,
    generator: torch.Generator,
) -> list[Subset]:
    """Draw a new history from the mean w-scores of several seeds.

    What one seed's run happened to favour averages out, and every interval is drawn afresh: an
    example enters with a probability in proportion to its score, up to 1, and its weight is score
    over probability, so that the expected weight of an example is its mean score.

    Args:
        histories: One per seed, with equal intervals and sizes.
        epochs: How many epochs each interval is trained on.
        n: Number of training examples.
        generator: A CPU generator.

    Returns:
        One subset per interval, of the size that the seeds' have.

    Raises:
        ValueError: There is no history, or their intervals differ.
    """
    if not histories:
        raise ValueError("histories must hold at least one history, got none")
    lengths = {tuple(len(subset) for subset in history) for history in histories}
    if len(lengths) != 1 or len(next(iter(lengths))) != len(epochs):
        raise ValueError(
            f"histories must have the same number and size of intervals, got {sorted(lengths)} "
            f"for {len(epochs)} intervals: record them with the same fraction and select_every"
        )
    scores = sum((w_scores(h, epochs, n) for h in histories), torch.zeros(n, dtype=torch.float64))
    chances = {size: capped_shares(scores, size, 1.0) for size in set(next(iter(lengths)))}
    drawn = []
    for subset in histories[0]:
        chance = chances[len(subset)]
        indices = systematic_sample(chance, generator)
        drawn.append(make_subset(indices, scores[indices] / chance[indices]))
    return drawn


def systematic_sample(chances: Tensor, generator: torch.Generator) -> Tensor:
    """Draw distinct positions with given inclusion probabilities, in a fixed number.

    Systematic sampling in a random order (Madow 1949): marks at distance 1 along the cumulative
    probabilities.

    Args:
        chances: float64 (n,), each in [0, 1], with a whole sum k.
        generator: A CPU generator.

    Returns:
        int64 (k,) ascending.
    """
    # Those that are sure to be in come first: rounding could otherwise skip one or take it twice.
    sure = chances >= 1.0 - 1e-9
    count = round(float(chances.sum())) - int(sure.sum())
    order = torch.randperm(chances.shape[0], generator=generator)
    order = order[(chances > 0.0)[order] & ~sure[order]]
    ends = chances[order].cumsum(0)
    start = torch.rand((), generator=generator, dtype=torch.float64)
    if count == 0:
        return sure.nonzero().squeeze(1)
    marks = (start + torch.arange(count, dtype=torch.float64)) * (float(ends[-1]) / count)
    places = torch.searchsorted(ends, marks, right=True).clamp_(max=order.shape[0] - 1)
    return torch.cat([sure.nonzero().squeeze(1), order[places]]).sort().values
