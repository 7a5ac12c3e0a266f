"""GradMatch: a weighted subset whose gradient matches that of all the data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.budgets import class_groups, split_budget
from tune_select.selection.gradients import (
    Match,
    check_request,
    check_requests,
    gradient_sum,
    layer_inputs,
    matched_signals,
    with_gradient_errors,
)
from tune_select.selection.pursuit.matching import Matcher, MatchingProblem
from tune_select.selection.pursuit.omp import OmpSolution, check_omp_settings
from tune_select.selection.weighting import fill_at_random, make_subset, warn_of_early_stop

Gradients = Literal["class", "layer", "outputs"]
Units = Literal["relative", "absolute"]


class GradMatch(Selector):
    """Orthogonal matching pursuit on per-example gradients (Killamsetty et al. 2021, Algorithm 2).

    Args:
        regularization: The paper's lambda, in units of the mean squared norm of the gradients that
            are matched. The paper states lambda = 0.5 on raw gradients, whose norms fall by orders
            of magnitude along a training; in these units it weighs the same early and late.
        tolerance: The paper's epsilon, relative to the squared norm of the target.
        units: ``"absolute"`` takes ``regularization`` and ``tolerance`` as the paper states them,
            as plain numbers in the units of squared gradients; ``mass`` stays relative.
        mass: How much it counts, beside matching the gradient, that the weights sum to the number
            of examples, in units of the gradients' mean squared norm. The paper's problem (0)
            leaves the sum free. Its weighted sum of gradients then matches, but training takes
            weighted means, and these come out longer than the mean gradient: 5 to 20 times on MNIST
            once most examples are learned, as if the learning rate were so much larger.
        match: Whether to match the gradient of the training or of the validation examples.
        per_class: Whether to solve one problem per class, with budgets split by class size (A.2),
            or one over all examples.
        gradients: What is matched. ``"class"``: the rows of the last layer that belong to the class
            in question (the paper's per-gradient approximation, A.2), or the whole layer where its
            outputs are no class scores. ``"layer"``: the whole last layer. ``"outputs"``: the
            gradients at the outputs alone.

    Raises:
        ValueError: An argument is outside its range, or ``gradients="class"`` without
            ``per_class``.
    """

    def __init__(
        self,
        *,
        regularization: float = 0.5,
        tolerance: float = 1e-10,
        units: Units = "relative",
        mass: float = 1.0,
        match: Match = "train",
        per_class: bool = True,
        gradients: Gradients = "class",
    ) -> None:
        check_omp_settings(regularization, tolerance)
        if units not in ("relative", "absolute"):
            raise ValueError(f'units must be "relative" or "absolute", got {units!r}')
        if not 0.0 <= mass < float("inf"):
            raise ValueError(f"mass must be a finite number >= 0, got {mass}")
        if match not in ("train", "validation"):
            raise ValueError(f'match must be "train" or "validation", got {match!r}')
        if gradients not in ("class", "layer", "outputs"):
            raise ValueError(f'gradients must be "class", "layer" or "outputs", got {gradients!r}')
        if gradients == "class" and not per_class:
            raise ValueError(
                'gradients="class" are those of one class each: set per_class=True, or choose '
                'gradients="layer" or "outputs" to match all classes at once'
            )
        self.regularization = regularization
        self.tolerance = tolerance
        self.units: Units = units
        self.mass = mass
        self.match = match
        self.per_class = per_class
        self.gradients: Gradients = gradients
        self.needs_validation = match == "validation"

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class.

        Raises:
            ValueError: Also when ``per_class`` and the budget is below the number of classes, or
                when there is no validation split to match.
        """
        return self.select_path(signals, [budget], generator)[0]

    def select_path(
        self, signals: Signals, budgets: Sequence[int], generator: torch.Generator
    ) -> list[Subset]:
        """See the base class: one pursuit, on whose way the smaller subsets lie.

        Raises:
            ValueError: As ``select``.
        """
        check_requests(signals, budgets)
        target = matched_signals(signals, self.match)
        if self.needs_validation:
            check_request(target, 1)
        # Nothing matches better than everything.
        whole = [k for k in budgets if k == len(signals) and target is signals]
        everything = make_subset(torch.arange(len(signals)), torch.ones(len(signals)))
        subsets = self._matched(signals, target, budgets[: len(budgets) - len(whole)], generator)
        subsets += [everything] * len(whole)
        return with_gradient_errors(signals, subsets, self.match)

    def _matched(
        self, signals: Signals, target: Signals, budgets: Sequence[int], generator: torch.Generator
    ) -> list[Subset]:
        if not budgets:
            return []
        labels = signals.labels.cpu()
        groups = class_groups(labels) if self.per_class else [torch.arange(len(signals))]
        sizes = torch.tensor([group.shape[0] for group in groups])
        # By class, its part of every budget; a larger budget may leave a class one example less.
        parts = torch.stack([split_budget(sizes, budget) for budget in budgets]).T.tolist()
        form = self._form(signals, len(groups))
        builders = []
        for members, steps in zip(groups, parts, strict=True):
            label = int(labels[members[0]]) if self.per_class else None
            builders.append(partial(_problem, signals, target, members, label, steps, form))
        matcher = Matcher(self.regularization, self.tolerance, self.mass, self.units)
        solutions = matcher.solve(builders, signals.inputs.device)
        return [
            _subset(
                groups,
                [steps[step] for steps in parts],
                [solution.on_the_way[step] for solution in solutions],
                generator,
            )
            for step in range(len(budgets))
        ]

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "regularization": self.regularization,
            "tolerance": self.tolerance,
            "units": self.units,
            "mass": self.mass,
            "match": self.match,
            "per_class": self.per_class,
            "gradients": self.gradients,
        }

    def _form(self, signals: Signals, groups: int) -> Gradients:
        """The gradients to match; where outputs are no classes, no rows belong to one."""
        outputs = signals.output_gradients.shape[1]
        if self.gradients == "class" and (
            (groups == 1 and outputs > 1) or not signals.class_outputs
        ):
            return "layer"
        least, largest = (int(label) for label in signals.labels.aminmax())
        if self.gradients == "class" and not 0 <= least <= largest < outputs:
            raise ValueError(
                f'gradients="class" needs one output per class, got labels from {least} to '
                f'{largest} and {outputs} outputs: set gradients="layer"'
            )
        return self.gradients


def _restrict(signals: Signals, members: Tensor, label: int | None, form: Gradients) -> Signals:
    """The gradients of some examples in the form to match, again as inputs and outputs."""
    outputs, inputs = signals.output_gradients, signals.inputs
    members = members.to(outputs.device)
    if form == "class" and label is not None:
        outputs = outputs[:, label : label + 1]
    labels, bias = signals.labels[members.to(signals.labels.device)], signals.bias
    if form == "outputs":  # p_i alone is the gradient of a bias without inputs.
        inputs, bias = inputs[:, :0], True
    return Signals(labels, inputs[members], outputs[members], bias)


def _problem(
    signals: Signals,
    target: Signals,
    members: Tensor,
    label: int | None,
    budgets: Sequence[int],
    form: Gradients,
) -> MatchingProblem:
    """The gradients of one class (or of all) and the sum that is to be matched.

    A sum over validation examples is scaled up to the size of the training set.
    """
    part = _restrict(signals, members, label, form)
    if target is signals:
        goal = gradient_sum(part)
    else:
        same = slice(None) if label is None else target.labels == label
        matched = torch.arange(len(target), device=target.labels.device)[same]
        goal = gradient_sum(_restrict(target, matched, label, form))
        goal *= len(signals) / len(target)
    atoms, outputs = layer_inputs(part), part.output_gradients
    return MatchingProblem(atoms, outputs, goal, max(budgets), tuple(budgets))


def _subset(
    groups: Sequence[Tensor],
    parts: Sequence[int],
    solutions: Sequence[OmpSolution],
    generator: torch.Generator,
) -> Subset:
    """One budget's subset: every class's solution, filled up where it stopped early."""
    indices, weights = [], []
    for members, part, solution in zip(groups, parts, solutions, strict=True):
        chosen, weight = fill_at_random(
            solution.support, solution.weights, members.shape[0], part, generator
        )
        indices.append(members[chosen])
        weights.append(weight)
    filled = sum(parts) - sum(solution.support.shape[0] for solution in solutions)
    warn_of_early_stop("GradMatch", filled)
    return make_subset(torch.cat(indices), torch.cat(weights), filled=filled)
