"""Random subsets, drawn anew or once: the baseline that every other selector has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tune_select.selection.base import Selector, Signals, Subset, drawn_once
from tune_select.selection.gradients import check_request, check_requests


class Random(Selector):
    """Uniformly random examples without replacement, all of weight 1, new at every selection."""

    needs_gradients = False

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class."""
        return self.select_path(signals, [budget], generator)[0]

    def select_path(
        self, signals: Signals, budgets: Sequence[int], generator: torch.Generator
    ) -> list[Subset]:
        """See the base class; one permutation, so that each subset holds the smaller ones."""
        check_requests(signals, budgets, gradients=False)
        order = torch.randperm(len(signals), generator=generator)
        return [Subset(indices=order[:k].clone(), weights=torch.ones(k)) for k in budgets]

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {}


class RandomOnce(Selector):
    """The same uniformly random examples at every selection, all of weight 1.

    RANDOM of Killamsetty et al. 2021, section 3: "randomly select points equal to the budget". A
    training then never sees the other examples, so ``Random``, which draws anew every R epochs, is
    the stronger baseline, and the one to beat.

    Args:
        seed: The seed of the draw; an arm of a sweep gives its trial's.

    Raises:
        ValueError: ``seed`` is negative.
    """

    needs_gradients = False

    def __init__(self, *, seed: int = 0) -> None:
        drawn_once(seed)
        self.seed = seed

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class; a larger budget holds every smaller one's examples."""
        check_request(signals, budget, gradients=False)
        indices = torch.randperm(len(signals), generator=drawn_once(self.seed))[:budget]
        return Subset(indices=indices, weights=torch.ones(budget))

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"seed": self.seed}
