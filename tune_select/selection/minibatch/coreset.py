"""Two approximations of coresets whose mean loss is near that of the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import BatchSignals
from tune_select.selection.minibatch.scoring import ScoringSelector


class CoresetExtremes(ScoringSelector):
    """m/2 examples with the largest and m/2 with the smallest losses.

    Approximation 1 of Zhang et al., section 3.1. An odd m gives the larger losses the odd one.
    """

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """Distance of an example's rank from the middle rank, which is largest at both ends."""
        order = signals.losses.argsort()
        middle = (len(signals) - 1) / 2
        # A quarter of a rank to the left, so that of two equally distant ranks the upper one wins.
        ranks = torch.arange(len(signals), device=order.device, dtype=torch.float32)
        return torch.empty_like(ranks).scatter_(0, order, (ranks - middle + 0.25).abs())

    def settings(self) -> dict[str, Any]:
        """No arguments."""
        return {}


class CoresetMean(ScoringSelector):
    """The m examples with losses nearest to the batch's mean (Zhang et al., approximation 2)."""

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """Negative distances to the mean loss."""
        return -(signals.losses - signals.losses.mean()).abs()

    def settings(self) -> dict[str, Any]:
        """No arguments."""
        return {}
