"""The examples with the largest last-layer gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import BatchSignals
from tune_select.selection.minibatch.last_layer import gradient_norms
from tune_select.selection.minibatch.scoring import ScoringSelector


class GradientNorm(ScoringSelector):
    """The m examples with the largest gradient norms (Zhang et al., section 3.1).

    The norm is that of the last layer's gradient, exact from its inputs and output gradients. The
    authors differentiate through the whole network, which costs the backward pass that the
    selection is meant to save.
    """

    needs_gradients = True

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """The norms."""
        return gradient_norms(signals)

    def settings(self) -> dict[str, Any]:
        """No arguments."""
        return {}
