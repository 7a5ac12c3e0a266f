"""Applying a selector to every class by itself."""

from __future__ import annotations

from typing import Any

import torch

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.budgets import class_groups, split_budget
from tune_select.selection.gradients import check_request, with_gradient_error
from tune_select.selection.weighting import make_subset


class PerClass(Selector):
    """Runs the inner selector once per class, with budgets and weights in proportion to its size.

    ``PerClass(Random())`` is stratified sampling. GradMatch and Craig go class by class of their
    own; there, their classes' weights also carry how much gradient each class has.

    Args:
        selector: Chooses within a class.

    Raises:
        ValueError: ``selector`` already goes class by class through this wrapper.
    """

    def __init__(self, selector: Selector) -> None:
        if isinstance(selector, PerClass):
            raise ValueError("PerClass cannot wrap another PerClass: give it the inner selector")
        self.selector = selector
        self.needs_gradients = selector.needs_gradients
        self.needs_validation = selector.needs_validation
        self.match = selector.match

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class.

        Raises:
            ValueError: Also when the budget is below the number of classes, or what the inner
                selector raises.
        """
        check_request(signals, budget, gradients=self.needs_gradients)
        groups = class_groups(signals.labels.cpu())
        parts = split_budget(torch.tensor([len(group) for group in groups]), budget)
        indices, weights, filled = [], [], 0
        for group, part in zip(groups, parts.tolist(), strict=True):
            part_signals = signals.take(group)
            if signals.validation is not None:
                label = signals.labels[group[0]].cpu()
                same = (signals.validation.labels.cpu() == label).nonzero().squeeze(1)
                part_signals = part_signals.with_validation(signals.validation.take(same))
            chosen = self.selector.select(part_signals, part, generator)
            indices.append(group[chosen.indices])
            weights.append(chosen.weights.double() * (len(group) / len(chosen)))
            filled += chosen.filled
        subset = make_subset(torch.cat(indices), torch.cat(weights), filled=filled)
        return with_gradient_error(signals, subset, self.match) if self.needs_gradients else subset

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"selector": type(self.selector).__name__, **self.selector.settings()}
