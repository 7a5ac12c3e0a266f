"""The examples with the smallest losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import BatchSignals
from tune_select.selection.minibatch.scoring import ScoringSelector


class SmallLoss(ScoringSelector):
    """The m examples with the smallest losses, robust to outliers (Zhang et al., section 3.1)."""

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """The negative losses."""
        return -signals.losses

    def settings(self) -> dict[str, Any]:
        """No arguments."""
        return {}
