"""Facility location on features: a static baseline that looks at no gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.coverage import Coverage, pairwise_distances
from tune_select.selection.gradients import check_request


class FacilityLocation(Selector):
    """Medoids of the last layer's inputs, all of weight 1 (Coleman et al. 2020; Wolf 2011).

    Table 11 of Killamsetty et al. selects once, with the features of a proxy model.

    Args:
        epsilon: ``None`` for lazy greedy; in (0, 1) for stochastic greedy.
        per_class: Whether every class is covered by its own examples.
        block_size: Largest number of examples whose distances are held at a time.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self, *, epsilon: float | None = None, per_class: bool = True, block_size: int = 8192
    ) -> None:
        self.coverage = Coverage(epsilon=epsilon, per_class=per_class, block_size=block_size)

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class.

        Raises:
            ValueError: Also when ``per_class`` and the budget is below the number of classes.
        """
        check_request(signals, budget)

        def distances(members: Tensor) -> Tensor:
            features = signals.inputs[members.to(signals.inputs.device)]
            return pairwise_distances(features @ features.T)

        chosen, _ = self.coverage.choose(
            signals.labels, budget, distances, generator, signals.inputs.device
        )
        return Subset(indices=chosen, weights=torch.ones(budget))

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "epsilon": self.coverage.epsilon,
            "per_class": self.coverage.per_class,
            "block_size": self.coverage.block_size,
        }
