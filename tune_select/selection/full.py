"""All the data as a subset."""

from __future__ import annotations

from typing import Any

import torch

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.gradients import check_request


class Full(Selector):
    """Every example with weight 1, whatever the budget says."""

    needs_gradients = False

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class; the subset has n examples."""
        check_request(signals, budget, gradients=False)
        return Subset(indices=torch.arange(len(signals)), weights=torch.ones(len(signals)))

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {}
