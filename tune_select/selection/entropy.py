"""Entropy: the examples that the model is least certain about."""

from __future__ import annotations

from typing import Any

import torch

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.gradients import check_request
from tune_select.selection.softmax import probabilities


class Entropy(Selector):
    """The k examples of highest predictive entropy, all of weight 1 (Settles 2012).

    Table 11 of Killamsetty et al. selects once, with the predictions of a proxy model.
    """

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class.

        Raises:
            ValueError: Also when the loss is no softmax cross-entropy.
        """
        check_request(signals, budget)
        found = probabilities(signals, "entropy")
        entropy = torch.special.entr(found.double()).sum(1).cpu()
        # Equal entropies (a model without gradient, say) are a draw, not the order of the data.
        order = torch.randperm(len(signals), generator=generator)
        ranked = order[entropy[order].argsort(descending=True, stable=True)]
        return Subset(indices=ranked[:budget], weights=torch.ones(budget))

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {}
