"""From a solver's answer to a subset: mean weight 1, and what to do about an early stop."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from tune_select.selection.base import Subset


class EarlyStopWarning(UserWarning):
    """A solver ended before its budget was spent; the rest was drawn at random."""


def draw_without(size: int, taken: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` distinct positions out of ``size`` uniformly, none of them in ``taken``.

    Args:
        size: Positions are 0 to ``size`` - 1.
        taken: int64, the positions that may not be drawn.
        count: How many to draw.
        generator: A CPU generator.
    """
    free = torch.ones(size, dtype=torch.bool)
    free[taken] = False
    pool = free.nonzero().squeeze(1)
    return pool[torch.randperm(pool.shape[0], generator=generator)[:count]]


def fill_at_random(
    chosen: Tensor, weights: Tensor, size: int, budget: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Fill a solution that stopped early with random examples of its mean weight.

    The random examples add gradient of their own: in expectation their summed weight over ``size``
    times what the solver matched. All weights are scaled down by that much, so that the filled
    solution still stands for the same target.

    Args:
        chosen: int64 (m,) positions in [0, size).
        weights: float64 (m,), positive, for a target that is the sum over all ``size`` examples.
        size: Number of examples to choose from.
        budget: How many are wanted, m <= budget <= size.
        generator: A CPU generator.

    Returns:
        Positions and weights, (budget,) each; the random ones come last.
    """
    missing = budget - chosen.shape[0]
    if missing == 0:
        return chosen, weights
    # Without a solution (all gradients zero, say) every example stands for an equal share.
    mean = float(weights.mean()) if weights.numel() else size / budget
    drawn = draw_without(size, chosen, missing, generator)
    filled = torch.cat([weights, torch.full((missing,), mean, dtype=weights.dtype)])
    if weights.numel():
        filled = filled * (size / (size + mean * missing))
    return torch.cat([chosen, drawn]), filled


def make_subset(
    indices: Tensor,
    weights: Tensor,
    *,
    batches: Tensor | None = None,
    filled: int = 0,
) -> Subset:
    """A subset on the CPU with float32 weights of mean 1.

    Weights that are all zero become ones: they say nothing about the examples.

    Args:
        indices: int64 (k,) positions in the training set, on any device.
        weights: (k,), non-negative, of any scale.
        batches: int (k,) batch of each example, for per-batch selectors.
        filled: How many of the k were drawn at random because the solver stopped early.
    """
    scaled = weights.detach().double().cpu()
    mean = float(scaled.mean())
    scaled = scaled / mean if mean > 0.0 else torch.ones_like(scaled)
    return Subset(
        indices=indices.detach().cpu(),
        weights=scaled.float(),
        batches=batches,
        filled=filled,
    )


def capped_shares(scores: Tensor, total: float, largest: float) -> Tensor:
    """Shares of ``total`` in proportion to scores, none above ``largest``.

    Args:
        scores: float64 (m,), non-negative, not all zero.
        total: What the shares sum to, at most ``largest`` times the number of positive scores (they
            all become ``largest`` if it is more).
        largest: Upper bound of a share.

    Returns:
        float64 (m,).
    """
    capped = torch.zeros_like(scores, dtype=torch.bool)
    while True:
        rest = total - largest * int(capped.sum())
        open_sum = float(scores[~capped].sum())
        # Divided first: where scores are near the smallest number, rest / open_sum is infinite.
        shares = scores / open_sum * rest if open_sum > 0.0 else torch.zeros_like(scores)
        shares[capped] = largest
        over = (shares > largest) & ~capped
        if not bool(over.any()):
            return shares
        capped |= over


def warn_of_early_stop(selector: str, filled: int) -> None:
    """Warn that part of the budget was filled at random (Python shows the same text once)."""
    if filled:
        warnings.warn(
            f"{selector} stopped early and drew the rest of its budget at random with the mean "
            "weight (Subset.filled counts how many); a larger regularization spreads the weights "
            "over more examples",
            EarlyStopWarning,
            stacklevel=3,
        )
