"""Last-layer gradients of a set of examples, and how well a subset approximates their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from tune_select.selection.base import Signals, Subset, check_budgets

Match = Literal["train", "validation"]
_BLOCK = 16384  # examples summed in single precision before they join the float64 total


def layer_inputs(signals: Signals) -> Tensor:
    """Inputs of the last layer with a one appended for its bias: float32 (n, D + 1), or (n, D)."""
    if not signals.bias:
        return signals.inputs
    return torch.cat([signals.inputs, signals.inputs.new_ones(len(signals), 1)], dim=1)


def gradient_sum(
    signals: Signals, weights: Tensor | None = None, indices: Tensor | None = None
) -> Tensor:
    """Weighted sum of last-layer gradients, ``sum_i w_i p_i [h_i, 1]^T``.

    Costs 2 n C D operations and no memory beyond a block: no gradient is ever materialised.

    Args:
        signals: The signals of n examples.
        weights: (k,), ones when ``None``.
        indices: int64 (k,) which examples; all n when ``None``.

    Returns:
        float64 (C, D + 1) on the signals' device; the last column is the bias's, left out when
        the layer has none.
    """
    size = len(signals) if indices is None else indices.shape[0]
    inputs, outputs = signals.inputs, signals.output_gradients
    columns = inputs.shape[1] + int(signals.bias)
    total = torch.zeros(outputs.shape[1], columns, dtype=torch.float64, device=outputs.device)
    for start in range(0, size, _BLOCK):
        rows: slice | Tensor = slice(start, start + _BLOCK)
        scaled = outputs[rows] if indices is None else outputs[indices[rows].to(outputs.device)]
        if weights is not None:
            scaled = scaled * weights[rows].to(scaled)[:, None]
        if indices is not None:
            rows = indices[rows].to(inputs.device)
        total[:, : inputs.shape[1]] += (scaled.T @ inputs[rows]).double()
        if signals.bias:
            total[:, -1] += scaled.sum(0).double()
    return total


def mean_gradient(signals: Signals, match: Match = "train") -> Tensor:
    """Mean last-layer gradient of the training or the validation examples, float64 (C, D + 1).

    Raises:
        ValueError: ``match`` is "validation" and the signals hold no validation examples.
    """
    source = matched_signals(signals, match)
    return gradient_sum(source) / len(source)


def gradient_error(
    signals: Signals, subset: Subset, *, match: Match = "train", mean: Tensor | None = None
) -> float:
    """How far a subset's weighted mean gradient is from the mean over all examples.

    ``||sum_i w_i g_i / sum_i w_i - mean|| / ||mean||`` over whole last-layer gradients, whatever
    approximation a selector matched them by, so that the errors of different selectors (and of a
    random subset of the same size) compare. It is the error of the update that training takes,
    since a mini-batch's loss is the weighted mean of its examples' losses.

    Args:
        signals: The signals of the n training examples.
        subset: What was chosen of them.
        match: Whether the mean is over the training or the validation examples.
        mean: ``mean_gradient(signals, match)`` if at hand, which saves a pass over the signals.

    Returns:
        The relative error; 0 when both gradients vanish, infinity when only the mean does.
    """
    if mean is None:
        mean = mean_gradient(signals, match)
    chosen = gradient_sum(signals, subset.weights, subset.indices)
    chosen /= float(subset.weights.double().sum())
    error, size = float((chosen - mean).norm()), float(mean.norm())
    if size == 0.0:
        return 0.0 if error == 0.0 else float("inf")
    return error / size


def with_gradient_error(signals: Signals, subset: Subset, match: Match = "train") -> Subset:
    """The subset with its gradient error measured.

    Args:
        signals: What the selector was given.
        subset: What it chose.
        match: Whose gradient sum is matched: ``train`` or ``validation``.
    """
    return with_gradient_errors(signals, [subset], match)[0]


def with_gradient_errors(
    signals: Signals, subsets: Sequence[Subset], match: Match = "train"
) -> list[Subset]:
    """Several subsets with their gradient errors measured, in one pass over the signals.

    Args:
        signals: What the selector was given.
        subsets: What it chose, of any sizes.
        match: Whose gradient sum is matched: ``train`` or ``validation``.
    """
    mean = mean_gradient(signals, match)  # what the pass is over: as costly as a large subset's sum
    return [
        replace(subset, gradient_error=gradient_error(signals, subset, match=match, mean=mean))
        for subset in subsets
    ]


def matched_signals(signals: Signals, match: Match) -> Signals:
    """The signals whose gradient is to be matched: the training or the validation examples'."""
    if match == "train":
        return signals
    if signals.validation is None or len(signals.validation) == 0:
        raise ValueError(
            'match="validation" needs a validation split, but the signals hold none: set '
            'validation_fraction above 0 or match="train"'
        )
    return signals.validation


def check_request(
    signals: Signals, budget: int, *, gradients: bool = True, inputs: bool = False
) -> None:
    """Check what every selector is called with; arguments as in ``check_requests``."""
    check_requests(signals, [budget], gradients=gradients, inputs=inputs)


def check_requests(
    signals: Signals, budgets: Sequence[int], *, gradients: bool = True, inputs: bool = False
) -> None:
    """Check what a selector of several budgets is called with, the signals once for all of them.

    Args:
        signals: The signals of the n training examples.
        budgets: k of each subset, from the smallest to the largest.
        gradients: Whether the selector needs last-layer gradients.
        inputs: Whether it needs the last layer's inputs although it needs no gradients.

    Raises:
        ValueError: A budget is outside [1, n], they are not in order, signals are missing, or a
            value is not finite.
    """
    check_budgets(budgets)
    for budget in budgets:
        if not 1 <= budget <= len(signals):
            raise ValueError(
                f"budget must be in [1, {len(signals)}], the number of training examples, got "
                f"{budget}"
            )
    needed = [("inputs", signals.inputs)] if gradients or inputs else []
    needed += [("output_gradients", signals.output_gradients)] if gradients else []
    for name, values in needed:
        if values.ndim != 2 or values.shape[0] != len(signals) or values.shape[1] == 0:
            raise ValueError(
                f"signals.{name} must have shape ({len(signals)}, d) with d >= 1, got "
                f"{tuple(values.shape)}: collect them with one pass over the training set"
            )
        # NaN and infinity reach the extremes: one pass, no copy.
        if not all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(values)):
            raise ValueError(
                f"signals.{name} hold NaN or infinite values; the model has diverged, lower its "
                "learning rate"
            )
