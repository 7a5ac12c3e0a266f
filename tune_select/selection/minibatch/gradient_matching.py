"""The weighted subset whose last-layer gradient is nearest to the mini-batch's."""

from __future__ import annotations

from typing import Any

import torch

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    MiniBatchSelector,
    require_valid,
)
from tune_select.selection.minibatch.gram_omp import gram_omp
from tune_select.selection.minibatch.last_layer import gradient_gram


class GradientMatching(MiniBatchSelector):
    """Matches the mini-batch's mean last-layer gradient with m weighted examples.

    Balles et al., Algorithm 1. Everything stays on the signals' device. Weights are clipped at zero
    and scaled to sum m, so an example may be chosen with weight zero.
    """

    needs_gradients = True

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """``budget`` examples and their weights."""
        require_valid(signals, budget)
        if len(signals) <= budget:
            return Choice.whole(signals)
        gram = gradient_gram(signals)
        # Late in training gradients are tiny, their products tinier: keep away from underflow.
        gram = gram / gram.diagonal().mean().clamp(min=torch.finfo(gram.dtype).tiny)
        support, weights = gram_omp(gram, gram.mean(1), budget)
        weights = weights.clamp(min=0)
        total = weights.sum()
        # No gradient at all to match: nothing to prefer.
        weights = torch.where(total > 0, weights / total * budget, torch.ones_like(weights))
        return Choice(support, weights.to(torch.float32))

    def settings(self) -> dict[str, Any]:
        """No arguments."""
        return {}
