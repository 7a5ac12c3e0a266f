"""The order in which an epoch draws a subset's examples, and how weights enter it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tune_select.loops.plan import Weights


@dataclass(frozen=True)
class Drawable:
    """What an epoch draws from.

    Attributes:
        indices: int64 (k,) positions in the dataset.
        weights: float32 (k,), or ``None`` when all are equal.
        batches: int32 (k,) batch numbers when whole batches are trained on, else ``None``.
    """

    indices: Tensor
    weights: Tensor | None = None
    batches: Tensor | None = None

    def __len__(self) -> int:
        return self.indices.shape[0]


def systematic(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` positions in proportion to weights, each as often as expected, up to one.

    Systematic resampling (Kitagawa 1996): one uniform number shifts ``count`` equally spaced points
    along the cumulative weights, so position i is drawn floor or ceil of ``count`` w_i / sum(w)
    times, w_i / sum(w) on average. The mean loss over the draws has the weighted mean as its
    expectation with far less noise than independent draws, and equal weights give each once.

    Args:
        weights: (k,) non-negative, not all zero.
        count: How many to draw.
        generator: The generator, on the CPU.

    Returns:
        int64 (count,), ascending.
    """
    cumulative = weights.double().cumsum(0)
    shift = torch.rand(1, generator=generator, dtype=torch.float64)
    points = (torch.arange(count) + shift) / count * cumulative[-1]
    return torch.searchsorted(cumulative, points, right=True).clamp_(max=len(weights) - 1)


def epoch_order(subset: Drawable, mode: Weights, generator: torch.Generator) -> list[int]:
    """Positions in the dataset in the order in which an epoch trains on them.

    Args:
        subset: What to draw from.
        mode: ``resample`` draws by weight; otherwise each example comes once.
        generator: The generator, on the CPU, the epoch's own.
    """
    by_weight = mode == "resample" and subset.weights is not None
    if subset.batches is not None:
        return _whole_batches(subset, generator, by_weight=by_weight)
    k = len(subset)
    drawn = torch.arange(k)
    if by_weight:
        assert subset.weights is not None
        drawn = systematic(subset.weights, k, generator)
    order: list[int] = subset.indices[drawn[torch.randperm(k, generator=generator)]].tolist()
    return order


def _whole_batches(subset: Drawable, generator: torch.Generator, *, by_weight: bool) -> list[int]:
    """Batches that a selector chose stay together; a short one comes last, to keep the others so.

    Systematic resampling of the batches, each by the weight that its examples share.
    """
    assert subset.batches is not None
    numbers, inverse = torch.unique(subset.batches, return_inverse=True)
    groups = [torch.nonzero(inverse == number).flatten() for number in range(len(numbers))]
    drawn = torch.arange(len(groups))
    if by_weight:
        assert subset.weights is not None
        shares = torch.stack([subset.weights[group].mean() for group in groups])
        drawn = systematic(shares, len(groups), generator)
    shuffled = drawn[torch.randperm(len(drawn), generator=generator)].tolist()
    longest = max(len(group) for group in groups)
    shuffled.sort(key=lambda number: len(groups[number]) < longest)  # stable
    return [int(i) for number in shuffled for i in subset.indices[groups[number]]]
