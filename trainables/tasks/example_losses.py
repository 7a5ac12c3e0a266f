"""Losses and scores as people have them, one number for each example."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

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


def by_example(values: Tensor, size: int, field: str) -> Tensor:
    """One number for each example, float (B,): the mean over all other dimensions.

    Args:
        values: (B,) or (B, ...).
        size: B.
        field: What made them, for the error.

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
    return values.flatten(1).float().mean(1) if values.ndim > 1 else values
