"""Selectors that score every example and take the highest scores."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    MiniBatchSelector,
    require_valid,
)


class ScoringSelector(MiniBatchSelector):
    """Scores the examples of a mini-batch: g_m(x_i, y_i, B_t) of Zhang et al., eq. 2.

    Anything with a score can be a candidate of ``AdaSelection``.
    """

    @abstractmethod
    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """Scores (M,), the higher the more wanted; only their order matters here.

        Args:
            signals: What is known of the mini-batch's M examples.
            budget: Number m that will be chosen.
            generator: The generator of draws, for scores that are random.
        """

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """The ``budget`` highest scores, all with weight one."""
        require_valid(signals, budget)
        if len(signals) <= budget:
            return Choice.whole(signals)
        return Choice.unweighted(highest(self.scores(signals, budget, generator), budget))


def highest(scores: Tensor, count: int) -> Tensor:
    """Positions (count,) of the highest scores, in no particular order."""
    return scores.topk(count, sorted=False).indices
