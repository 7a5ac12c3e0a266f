"""The loss of every example of a split, and whether a classifier gets it right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainables.tasks.task import Batch, Split, Task, index_batches
from tune_select.selection.heads.capture import as_written, evaluation_mode


def example_losses(task: Task, split: Split) -> tuple[Tensor, Tensor | None]:
    """One pass over a split in evaluation mode, unaugmented.

    Args:
        task: Whose examples they are; it must know ``split_labels``.
        split: The split of the task.

    Returns:
        Losses (n,), float32 on the CPU, in order of the examples; and, of a classifier, bool (n,),
        where its highest score is the target's. ``None`` of a task without one class per example.
    """
    size = len(task.split_labels(split))
    losses, right = [torch.empty(0)], [torch.empty(0, dtype=torch.bool)]
    judged = True
    with (
        _last_outputs(task) as outputs,  # first: finding the head needs gradients
        evaluation_mode(task.model),
        torch.inference_mode(),
        task.autocast(),
    ):
        for batch in task.batches(index_batches(size, task.eval_batch_size), split=split):
            outputs.clear()
            losses.append(task.losses(batch).float().cpu())
            found = _right(outputs, batch)
            judged = judged and found is not None
            if found is not None:
                right.append(found.cpu())
    return torch.cat(losses), torch.cat(right) if judged else None


def _right(outputs: list[Any], batch: Batch) -> Tensor | None:
    """Bool (B,), or ``None`` where the last output is no row of scores for one class each."""
    scores, targets = outputs[-1] if outputs else None, batch.targets
    if not isinstance(scores, Tensor) or not isinstance(targets, Tensor) or scores.ndim != 2:
        return None
    if targets.shape != scores.shape[:1] or targets.is_floating_point():
        return None
    return scores.argmax(1) == targets


@contextmanager
def _last_outputs(task: Task) -> Iterator[list[Any]]:
    """The head's outputs in the passes inside; nothing of a model with no single head."""
    outputs: list[Any] = []

    def keep(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        outputs.append(output)

    try:
        handle = task.head().register_forward_hook(keep)
    except ValueError:
        yield outputs
        return
    try:
        with as_written(task.model):  # a compiled call does not see the hook
            yield outputs
    finally:
        handle.remove()
