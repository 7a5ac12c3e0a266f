"""AdaBoost's example weights as scores."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import BatchSignals
from tune_select.selection.minibatch.scoring import ScoringSelector

_LAST_EXACT: Final = 1 - 1e-3
"""The loss from which on the weight grows linearly."""


class AdaBoost(ScoringSelector):
    """The m examples with the largest AdaBoost weights (Zhang et al., eq. 1).

    w = 1/2 log((1 + l) / (1 - l)) is defined for losses in (0, 1) alone. Deviation: a loss above
    0.999 gets the weight there plus the excess, and a negative loss that of 0. So eq. 1 is exact
    where it is defined, and no two losses above 1 are tied. The order is that of Big Loss; inside
    ``AdaSelection`` the steep slope near 1 makes it a candidate of its own.
    """

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """The weights."""
        losses = signals.losses
        return losses.clamp(0, _LAST_EXACT).atanh() + (losses - _LAST_EXACT).clamp(min=0)

    def settings(self) -> dict[str, Any]:
        """No arguments."""
        return {}
