"""GradMatch: a weighted subset whose gradient matches that of all the data."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.budgets import class_groups, split_budget
from tune_select.selection.dictionaries import DenseDictionary, Dictionary, FactorizedDictionary
from tune_select.selection.gradients import (
    Match,
    check_request,
    gradient_error,
    gradient_sum,
    layer_inputs,
    matched_signals,
)
from tune_select.selection.omp import OmpSolution, check_omp_settings, nonnegative_omp
from tune_select.selection.threads import map_in_threads
from tune_select.selection.weighting import fill_at_random, make_subset, warn_of_early_stop

Gradients = Literal["class", "layer", "outputs"]


class GradMatch(Selector):
    """Orthogonal matching pursuit on per-example gradients (Killamsetty et al. 2021, Algorithm 2).

    Args:
        regularization: The paper's lambda, in units of the mean squared norm of the gradients that
            are matched. The paper states lambda = 0.5 on raw gradients, whose norms fall by orders
            of magnitude along a training; in these units it weighs the same early and late.
        tolerance: The paper's epsilon, relative to the squared norm of the target.
        match: Whether to match the gradient of the training or of the validation examples.
        per_class: Whether to solve one problem per class, with budgets split by class size (A.2),
            or one over all examples.
        gradients: What is matched. ``"class"``: the rows of the last layer that belong to the class
            in question (the paper's per-gradient approximation, A.2). ``"layer"``: the whole last
            layer. ``"outputs"``: the gradients at the outputs alone.

    Raises:
        ValueError: An argument is outside its range, or ``gradients="class"`` without
            ``per_class``.
    """

    def __init__(
        self,
        *,
        regularization: float = 0.5,
        tolerance: float = 1e-10,
        match: Match = "train",
        per_class: bool = True,
        gradients: Gradients = "class",
    ) -> None:
        check_omp_settings(regularization, tolerance)
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
        check_request(signals, budget)
        target = matched_signals(signals, self.match)
        if self.needs_validation:
            check_request(target, 1)
        if self.per_class:
            groups = class_groups(signals.labels)
        else:
            groups = [torch.arange(len(signals), device=signals.labels.device)]
        sizes = torch.tensor([group.shape[0] for group in groups])
        parts = split_budget(sizes, budget).tolist()
        form = self._form(signals, len(groups))

        def solve(problem: tuple[Tensor, int]) -> OmpSolution:
            members, part = problem
            dictionary = _dictionary(signals, target, members, part, form, self.per_class)
            return nonnegative_omp(
                dictionary,
                budget=part,
                regularization=self.regularization * dictionary.mean_energy,
                tolerance=self.tolerance,
            )

        solutions = map_in_threads(solve, zip(groups, parts, strict=True))
        indices, weights = [], []
        for members, part, solution in zip(groups, parts, solutions, strict=True):
            chosen, weight = fill_at_random(
                solution.support, solution.weights, members.shape[0], part, generator
            )
            indices.append(members.cpu()[chosen])
            weights.append(weight)
        filled = budget - sum(solution.support.shape[0] for solution in solutions)
        warn_of_early_stop("GradMatch", filled)
        subset = make_subset(torch.cat(indices), torch.cat(weights), filled=filled)
        error = gradient_error(signals, subset, match=self.match)
        return make_subset(subset.indices, subset.weights, gradient_error=error, filled=filled)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "regularization": self.regularization,
            "tolerance": self.tolerance,
            "match": self.match,
            "per_class": self.per_class,
            "gradients": self.gradients,
        }

    def _form(self, signals: Signals, groups: int) -> Gradients:
        """The gradients to match; a task without classes has no rows that belong to one."""
        outputs = signals.output_gradients.shape[1]
        if self.gradients == "class" and groups == 1 and outputs > 1:
            return "layer"
        if self.gradients == "class" and int(signals.labels.max()) >= outputs:
            raise ValueError(
                f'gradients="class" needs one output per class, got labels up to '
                f'{int(signals.labels.max())} and {outputs} outputs: set gradients="layer"'
            )
        return self.gradients


def _restrict(signals: Signals, members: Tensor, label: int, form: Gradients) -> Signals:
    """The gradients of some examples in the form to match, again as inputs and outputs."""
    outputs, inputs = signals.output_gradients[members], signals.inputs
    if form == "class":
        outputs = outputs[:, label : label + 1]
    if form == "outputs":  # p_i alone is the gradient of a bias without inputs.
        return Signals(signals.labels[members], inputs[members, :0], outputs, bias=True)
    return Signals(signals.labels[members], inputs[members], outputs, signals.bias)


def _dictionary(
    signals: Signals,
    target: Signals,
    members: Tensor,
    budget: int,
    form: Gradients,
    per_class: bool,
) -> Dictionary:
    """The gradients of one group of training examples and the sum that is to be matched.

    A sum over validation examples is scaled up to the size of the training set.
    """
    label = int(signals.labels[members[0]])
    part = _restrict(signals, members, label, form)
    if target is signals:
        goal = gradient_sum(part)
    else:
        same = target.labels == label if per_class else torch.ones_like(target.labels).bool()
        goal = gradient_sum(_restrict(target, same.nonzero().squeeze(1), label, form))
        goal *= len(signals) / len(target)
    inputs = layer_inputs(part)
    if 1 in goal.shape:
        atoms = inputs * part.output_gradients
        return DenseDictionary(atoms, goal.flatten(), capacity=budget)
    return FactorizedDictionary(inputs, part.output_gradients, goal, capacity=budget)
