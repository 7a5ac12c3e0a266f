"""Losses and batches as users have them, in the one form that collecting needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Loss = Callable[..., Tensor]


def loss_of_batch(loss: Loss, model: nn.Module) -> Callable[[Any], Tensor]:
    """The loss as a function of a batch alone.

    Args:
        loss: One of three: ``loss(batch)``, which knows its model; ``loss(model, batch)``; or one
            of torch's own (``functional.cross_entropy``, a ``partial`` of it, ``nn.MSELoss()``),
            which is taken of the model's outputs for batches of (inputs, targets).
        model: The model, for the latter two.

    Raises:
        ValueError: It is none of these.
    """
    if not callable(loss):
        raise ValueError(f"loss must be a function of a batch, got {loss!r}")
    written: Any = loss.func if isinstance(loss, partial) else loss
    if inspect.isclass(written) and issubclass(written, nn.Module):
        raise ValueError(
            f"loss is the class {written.__name__}: give one of it, {written.__name__}()"
        )
    if isinstance(loss, nn.Module) or getattr(written, "__module__", "") == "torch.nn.functional":
        return lambda batch: loss(model(_pair(batch)[0]), _pair(batch)[1])
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):
        return loss
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    if len(needed) > 2:
        raise ValueError(
            "loss must take (batch) or (model, batch), but this one needs "
            f"({', '.join(p.name for p in needed)}): wrap it in a lambda"
        )
    return (lambda batch: loss(model, batch)) if len(needed) == 2 else loss


def _pair(batch: Any) -> tuple[Any, Any]:
    if not (isinstance(batch, Sequence) and len(batch) == 2):
        raise ValueError(
            "one of torch's losses takes batches of (inputs, targets), but this batch is a "
            f"{type(batch).__name__}: give loss as a function of (model, batch)"
        )
    return batch[0], batch[1]


def moved(batch: Any, device: torch.device) -> Any:
    """A batch with all its tensors on ``device``; what is not known to hold tensors stays."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        items = {key: moved(value, device) for key, value in batch.items()}
        try:
            return type(batch)(items)  # type: ignore[call-arg]
        except TypeError:
            return items
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(moved(value, device) for value in batch)
    return batch.to(device) if callable(getattr(batch, "to", None)) else batch


def batch_size_of(batch: Any, losses: Tensor) -> int:
    """How many examples a batch has: as many as its losses, or as its tensors have rows.

    Raises:
        ValueError: The batch holds no tensor.
    """
    if losses.ndim == 1 and len(losses) > 1:
        return len(losses)
    size = _first_length(batch)
    if size is None:
        raise ValueError(
            f"cannot tell how many examples a batch of type {type(batch).__name__} has: return "
            "one loss per example (reduction='none')"
        )
    return size


def _first_length(batch: Any) -> int | None:
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else None
    if isinstance(batch, Mapping):
        values: Sequence[Any] = list(batch.values())
    elif isinstance(batch, list | tuple):
        values = batch
    else:
        values = list(vars(batch).values()) if hasattr(batch, "__dict__") else []
    return next((n for n in map(_first_length, values) if n is not None), None)


def by_example(losses: Tensor, size: int) -> Tensor | None:
    """One loss for each example, (B,), several values of one averaged; ``None`` of anything else.

    Args:
        losses: What the user's loss returned: a number, (B,), (B, ...) or in another order.
        size: B.
    """
    if losses.ndim == 0 or len(losses) != size:
        return None
    return losses if losses.ndim == 1 else losses.flatten(1).mean(1)


def described(batch: Any) -> str:
    """A batch for people: ``a list of (a tensor (8, 6), a tensor (8,))``."""
    if isinstance(batch, Tensor):
        return f"a tensor {tuple(batch.shape)}"
    kind = f"a {type(batch).__name__}"
    if isinstance(batch, Mapping):
        return f"{kind} with {', '.join(map(repr, batch))}"
    if isinstance(batch, list | tuple) and len(batch) <= 5:
        return f"{kind} of ({', '.join(map(described, batch))})"
    return kind
