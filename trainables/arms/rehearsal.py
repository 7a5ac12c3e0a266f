"""One batch through what a trial's settings name, before any trial is paid for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainables.arms.build import needs_gradients
from trainables.arms.plan import plan_arm
from trainables.loop.optim import make_optimizer
from trainables.models.notes import notes_of
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from tune_select.selection.heads.capture import named_heads
from tune_select.selection.heads.find import tensors_in
from tune_select.streams import kept_randomness

_EXAMPLES = 4  # of the one batch: whether it runs shows on few, and large pictures take long


def model_key(settings: TrialSettings) -> str:
    """What makes two trials' models the same, as text: all that building one depends on."""
    shaping = ("model", "model_settings", "weights", "freeze", "head", "device", "amp", "data")
    return json.dumps(
        [{key: getattr(settings, key) for key in shaping}, settings.extra],
        sort_keys=True,
        default=str,
    )


def rehearse_task(
    make: Callable[[], Task], settings: TrialSettings, seen: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """Build a trial's model and optimizer, find its head, and pass one batch forward and backward.

    Args:
        make: Builds the task as the trial will, weights loaded and parts frozen.
        settings: The trial's.
        seen: Rows of earlier calls by model; each distinct model is built once.

    Returns:
        A row for people: ``model``, ``parameters``, ``trained``, ``optimizer``, ``head``,
        ``batch``, ``loss`` and ``notes``; ``None`` for a model that was seen before.

    Raises:
        ValueError: What the trial would fail of.
    """
    key, new = model_key(settings), False
    if key not in seen:
        seen[key], new = _row(make, settings), True
    row = seen[key]
    if row["head_error"] is not None and _needs_head(settings, row):
        raise ValueError(row["head_error"])
    return row if new else None


def _needs_head(settings: TrialSettings, row: dict[str, Any]) -> bool:
    """Whether the arm matches what layers saw: a task may give selectors signals of its own."""
    asks_task = plan_arm(settings).kind != "mini_batch"  # of which a batch's pass asks nothing
    return needs_gradients(settings) and not (asks_task and row["own_signals"])


def _row(make: Callable[[], Task], settings: TrialSettings) -> dict[str, Any]:
    with kept_randomness(settings.seed):
        try:
            task = make()
            optimizer = make_optimizer(task, settings)
            inputs, loss = _one_batch(task, settings)
        except (ValueError, OSError):
            raise
        except Exception as error:  # a model and data of anybody's, which may raise what they like
            raise ValueError(
                f"model {settings.model!r} cannot train on a batch of these data: "
                f"{type(error).__name__}: {error!s:.300}"
            ) from error
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss of model {settings.model!r} is {loss} before any step: look for NaN in "
                "the data or in weights"
            )
        head, head_error = _head(task)
        own_signals = type(task).signals is not Task.signals
    parameters = list(task.model.parameters())
    return {
        "model": settings.model,
        "parameters": sum(p.numel() for p in parameters),
        "trained": sum(p.numel() for p in parameters if p.requires_grad),
        "optimizer": type(optimizer).__name__,
        "head": "its own signals" if head_error and own_signals else head,
        "head_error": head_error,
        "own_signals": own_signals,
        "batch": ", ".join(" x ".join(map(str, tensor.shape)) for tensor in tensors_in(inputs)),
        "loss": loss,
        "notes": notes_of(task.model),
    }


def _one_batch(task: Task, settings: TrialSettings) -> tuple[Any, float]:
    count = min(_EXAMPLES, settings.batch_size, task.train_size)
    batch = task.batch(torch.arange(count))
    task.training_mode()
    with task.autocast():
        losses = task.losses(batch)
    if not isinstance(losses, Tensor) or losses.shape != (count,):
        shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise ValueError(f"losses must be one per example, ({count},), got {shape}")
    torch.autograd.backward(losses.mean())
    return batch.inputs, float(losses.detach().mean())


def _head(task: Task) -> tuple[str, str | None]:
    """The layers whose gradients selectors match, and why there are none."""
    try:
        return named_heads([(name, nn_module(layer)) for name, layer in task.heads()]), None
    except (ValueError, TypeError, NotImplementedError) as error:
        return "-", str(error)


def nn_module(layer: nn.Module) -> nn.Module:
    """The layer that was written, where it was compiled."""
    inner = getattr(layer, "_orig_mod", layer)
    assert isinstance(inner, nn.Module)
    return inner
