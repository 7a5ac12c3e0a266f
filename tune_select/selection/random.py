"""Random subsets: the baseline that every other selector has to beat."""

from __future__ import annotations

from typing import Any

import torch

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.gradients import check_request


class Random(Selector):
    """Uniformly random examples without replacement, all of weight 1."""

    needs_gradients = False

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class."""
        check_request(signals, budget, gradients=False)
        indices = torch.randperm(len(signals), generator=generator)[:budget]
        return Subset(indices=indices, weights=torch.ones(budget))

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {}
