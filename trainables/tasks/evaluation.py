"""Means over a split, or the part of it that a look names, in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from trainables.tasks.calibration import calibrated_loss
from trainables.tasks.task import Batch, Split, Task, index_batches
from tune_select.selection.heads.capture import evaluation_mode
from tune_select.selection.heads.precision import double


def split_means(task: Task, split: Split, sums: Callable[[Batch], Tensor]) -> list[float]:
    """Means over the examples of a split, summed in double precision.

    Where ``task.look`` names a part of the split, they are over that part.

    Args:
        task: Whose model is put into evaluation mode meanwhile; it must know ``split_labels``.
        split: The split of the task.
        sums: The sums of the examples of a batch, (k,).

    Returns:
        k means; nothing where the split has no examples.
    """
    look, size = task.look, len(task.split_labels(split))
    if size == 0:
        return []
    batches = index_batches(size, task.eval_batch_size)
    if look is not None and look.positions is not None:
        look.heeded, size = True, len(look.positions)
        batches = iter(torch.split(look.positions, task.eval_batch_size))
    totals: Tensor | float = 0.0
    with evaluation_mode(task.model), torch.inference_mode(), task.autocast():
        for batch in task.batches(batches, split=split):
            totals = totals + double(sums(batch))
    assert isinstance(totals, Tensor)
    means: list[float] = (totals / size).tolist()
    return means


def classifier_metrics(
    task: Task, split: Split, logits_of: Callable[[Batch], Tensor]
) -> dict[str, float]:
    """Mean cross-entropy and accuracy (a share in [0, 1]) of logits (B, C), as ``evaluate`` says.

    ``calibrated_loss`` stands beside them where ``task.look`` asks for it.

    Args:
        task: A classifier.
        split: The split of the task.
        logits_of: The model's logits for a batch.
    """
    calibrated = task.look is not None and task.look.calibrated
    kept: list[tuple[Tensor, Tensor]] = []

    def sums(batch: Batch) -> Tensor:
        logits = logits_of(batch).float()
        if calibrated:
            kept.append((logits, batch.targets))
        loss = functional.cross_entropy(logits, batch.targets, reduction="sum")
        correct = (logits.argmax(1) == batch.targets).sum()
        return torch.stack([double(loss), double(correct)])

    means = dict(zip(("loss", "accuracy"), split_means(task, split, sums), strict=False))
    if kept and math.isfinite(means["loss"]):
        logits, targets = (torch.cat(parts) for parts in zip(*kept, strict=True))
        means["calibrated_loss"] = calibrated_loss(logits, targets)
    return means
