"""Losses and scores as people have them, one number for each example."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Scored = Callable[[Any, Any], Tensor]
"""A function of a model's outputs and the targets of B examples."""


def unreduced(loss: Scored) -> Scored:
    """The loss without its mean over the batch, where it has a way to say so.

    Args:
        loss: One of torch's modules or functions (or another with ``reduction``), which is asked
            for ``reduction="none"``; any other is left as it is.
    """
    if isinstance(loss, nn.Module):
        if isinstance(getattr(loss, "reduction", None), str):
            loss = copy.copy(loss)
            vars(loss)["reduction"] = "none"
        return loss
    try:
        known = inspect.signature(loss).parameters
    except (TypeError, ValueError):
        return loss
    return partial(cast(Any, loss), reduction="none") if "reduction" in known else loss


def position_weights(loss: Scored) -> Scored | None:
    """How much each position of an example counts in one of torch's losses over classes.

    Their mean over the pixels of a mask, or the words of a text, is over those whose class is not
    ``ignore_index``, each with its class's weight: sum w l / sum w. An example's own loss is that
    mean over its positions alone.

    Args:
        loss: The loss as the user gave it.

    Returns:
        A function of outputs (B, C, ...) and classes (B, ...) to weights (B, ...); ``None`` for a
        loss of another kind, all of whose positions count alike.
    """
    function: Any = loss
    given: dict[str, Any] = {}
    while isinstance(function, partial):
        function, given = function.func, {**function.keywords, **given}
    if isinstance(function, nn.CrossEntropyLoss | nn.NLLLoss):
        given = {"ignore_index": function.ignore_index, "weight": function.weight}
    elif function not in (functional.cross_entropy, functional.nll_loss):
        return None
    of_class = {key: given[key] for key in ("ignore_index", "weight") if key in given}

    def weights(outputs: Tensor, targets: Tensor) -> Tensor:
        # The likelihood loss of -1 everywhere is the weight itself, and 0 where it is ignored.
        constant = torch.full_like(outputs.detach(), -1.0, dtype=torch.float32)
        return functional.nll_loss(constant, targets, reduction="none", **of_class)

    return weights


def by_example(
    values: Tensor, size: int, field: str, weights: Callable[[], Tensor] | None = None
) -> Tensor:
    """One number for each example, float (B,): the mean over all other dimensions.

    Args:
        values: (B,) or (B, ...).
        size: B.
        field: What made them, for the error.
        weights: Gives how much each of several values counts, (B, ...), already in the values; all
            count alike by default. An example none of whose values counts gets zero.

    Raises:
        ValueError: They are not one or several for each example.
    """
    if not isinstance(values, Tensor):
        raise ValueError(f"{field} must return a tensor, got {type(values).__name__}")
    if values.ndim == 0 and size == 1:
        values = values[None]
    if values.ndim == 0 or len(values) != size:
        raise ValueError(
            f"{field} must return one value per example, ({size},), got shape "
            f"{tuple(values.shape)}: weights and selection need each example's own; leave out the "
            "mean over the batch (reduction='none')"
        )
    if values.ndim == 1:
        return values
    of_examples = values.flatten(1).float()
    if weights is None:
        return of_examples.mean(1)
    total = weights().flatten(1).float().sum(1)
    return of_examples.sum(1) / torch.where(total == 0, 1.0, total)
