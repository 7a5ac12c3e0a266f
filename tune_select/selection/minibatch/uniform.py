"""The random baseline inside the mini-batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import BatchSignals, uniform_draws
from tune_select.selection.minibatch.scoring import ScoringSelector


class Uniform(ScoringSelector):
    """m of the M examples, uniformly without replacement, all with weight one.

    The mean gradient over the chosen is an unbiased estimate of the mean over the mini-batch. It
    needs no selection pass, and is not made to pay for one: in effect it trains with a smaller
    batch size (Balles et al., section 5).
    """

    needs_losses = False

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """Independent uniform draws."""
        return uniform_draws(len(signals), signals.losses, generator)

    def settings(self) -> dict[str, Any]:
        """No arguments."""
        return {}
