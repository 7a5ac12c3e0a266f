"""CRAIG: medoids of the gradients, weighted by the sizes of their clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from tune_select.selection.base import Selector, Signals, Subset, check_budgets
from tune_select.selection.coverage import Coverage, pairwise_distances
from tune_select.selection.gradients import check_requests, layer_inputs, with_gradient_errors
from tune_select.selection.weighting import make_subset


class Craig(Selector):
    """Facility location over last-layer gradients (Mirzasoleiman et al. 2020, Algorithm 1).

    Minimises ``sum_i min_{j in S} ||g_i - g_j||``, which bounds the gradient error of the subset
    from above, and weights each choice by how many examples it stands for.

    Args:
        epsilon: ``None`` for lazy greedy; in (0, 1) for stochastic greedy, that much below the
            greedy guarantee in expectation.
        per_class: Whether every class is covered by its own examples.
        gradients: ``"layer"``: the distance between whole last-layer gradients. ``"outputs"``:
            between the gradients at the outputs alone.
        block_size: Largest number of examples whose distances are held at a time (8192: 256 MB).

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        *,
        epsilon: float | None = None,
        per_class: bool = True,
        gradients: Literal["layer", "outputs"] = "layer",
        block_size: int = 8192,
    ) -> None:
        if gradients not in ("layer", "outputs"):
            raise ValueError(f'gradients must be "layer" or "outputs", got {gradients!r}')
        self.coverage = Coverage(epsilon=epsilon, per_class=per_class, block_size=block_size)
        self.gradients = gradients

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class.

        Raises:
            ValueError: Also when ``per_class`` and the budget is below the number of classes.
        """
        return self.select_path(signals, [budget], generator)[0]

    def select_path(
        self, signals: Signals, budgets: Sequence[int], generator: torch.Generator
    ) -> list[Subset]:
        """See the base class: greedy's first choices are its answer to the smaller budgets.

        Stochastic greedy draws larger samples for smaller budgets, so that each is a run of its
        own there.

        Raises:
            ValueError: As ``select``.
        """
        check_budgets(budgets)
        if self.coverage.epsilon is not None and len(budgets) > 1:
            return super().select_path(signals, budgets, generator)
        check_requests(signals, budgets)

        def distances(members: Tensor) -> Tensor:
            part = signals.take(members)
            outputs = part.output_gradients
            outputs = outputs / outputs.abs().max().clamp_min(1e-30)  # squares stay in range
            gram = outputs @ outputs.T
            if self.gradients == "layer":
                inputs = layer_inputs(part)
                gram *= inputs @ inputs.T
            return pairwise_distances(gram)

        choices = self.coverage.choose_path(
            signals.labels, budgets, distances, generator, signals.inputs.device
        )
        return with_gradient_errors(signals, [make_subset(*choice) for choice in choices])

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "epsilon": self.coverage.epsilon,
            "per_class": self.coverage.per_class,
            "gradients": self.gradients,
            "block_size": self.coverage.block_size,
        }
