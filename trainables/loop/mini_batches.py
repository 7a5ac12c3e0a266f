"""From an epoch's examples to mini-batches and their losses, and what may thin them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from trainables.loop.sources import Examples
from trainables.tasks.batches import cuts
from trainables.tasks.task import Batch, Task

Weighted = tuple[Tensor, Tensor | None]
"""Indices int64 (M,) and their weights float32 (M,), on the CPU; ``None`` when all are equal."""


def weighted_mean(losses: Tensor, weights: Tensor, *, whole: bool = False) -> Tensor:
    """The loss of a mini-batch, sum(w l) / sum(w) (Killamsetty et al. 2021, Algorithm 1).

    Args:
        losses: (B,).
        weights: (B,) non-negative, mean 1 over the subset.
        whole: Whether these are all the examples of one selected batch. They then share one weight,
            which would cancel; the sum is divided by B instead, so that the batch's weight scales
            its step, and over the subset the mean scale is still 1.
    """
    total = (losses * weights).sum()
    # All weights may be zero where a solver's refit removed every atom of a mini-batch.
    return total / (len(losses) if whole else weights.sum().clamp_min(1e-12))


def mini_batches(examples: Examples, batch_size: int, generator: torch.Generator) -> list[Weighted]:
    """Cut an epoch's examples into shuffled mini-batches of (indices, weights).

    Where a per-batch selector chose whole batches, those are kept whole and only their order is
    shuffled. A mini-batch left with a single example, the rest of a division, is joined to the one
    before it in every arm, since batch normalisation cannot train on one; where the batch size
    itself is 1, single examples are what was asked for.

    Args:
        examples: What the epoch trains on.
        batch_size: Examples per step.
        generator: A CPU generator of the order.
    """
    if examples.batches is not None:
        numbers, inverse = torch.unique(examples.batches, return_inverse=True)
        order = torch.randperm(len(numbers), generator=generator)
        groups = [torch.nonzero(inverse == number).flatten() for number in order]
    else:
        shuffled = torch.randperm(len(examples), generator=generator)
        groups = list(torch.split(shuffled, batch_size))
    if batch_size > 1:
        groups = _single_joined(groups)
    indices, weights = examples.indices, examples.weights
    return [(indices[g], None if weights is None else weights[g]) for g in groups]


def _single_joined(groups: list[Tensor]) -> list[Tensor]:
    """The groups in their order, each of a single one joined to its neighbour.

    The neighbour is the group before it, or behind it where it comes first.
    """
    joined: list[Tensor] = []
    for group in groups:
        if joined and (len(group) == 1 or len(joined[-1]) == 1):
            joined[-1] = torch.cat([joined[-1], group])
        else:
            joined.append(group)
    return joined


def recut(candidates: Iterable[Weighted], size: int) -> Iterable[Weighted]:
    """The same examples in the same order, in mini-batches of at least ``size``."""
    batches = list(candidates)
    if not batches or len(batches[0][0]) >= size:
        return batches
    indices = torch.cat([indices for indices, _ in batches])
    groups = cuts(len(indices), size)
    if batches[0][1] is None:
        return [(indices[group], None) for group in groups]
    weights = torch.cat([weights for _, weights in batches if weights is not None])
    return [(indices[group], weights[group]) for group in groups]


def weighted_batches(
    task: Task, cut: list[Weighted], augmentation: torch.Generator
) -> Iterator[tuple[Batch, Tensor | None]]:
    """Every mini-batch as it was cut, augmented, with its weights on the task's device.

    Args:
        task: Makes the batches.
        cut: Pairs of indices and weights, in the order of the steps.
        augmentation: Generator of the augmentation on the task's device, or ``None`` for none.
    """
    indices = [indices for indices, _ in cut]
    if task.takes_device_indices:
        indices = moved(indices, task.device)
    given = [weights for _, weights in cut if weights is not None]
    weights = moved(given, task.device) if given else [None] * len(cut)
    yield from zip(task.batches(indices, generator=augmentation), weights, strict=True)


def moved(parts: list[Tensor], device: torch.device) -> list[Tensor]:
    """The same tensors on another device, in one transfer: each by itself costs a launch."""
    if not parts or parts[0].device == device:
        return parts
    sizes = [len(part) for part in parts]
    return list(torch.split(torch.cat(parts).to(device, non_blocking=True), sizes))


class BatchStage(Protocol):
    """What may stand between the mini-batches and the steps: ``arms.minibatch_stage``."""

    def weighted_batches(
        self,
        task: Task,
        candidates: Iterator[Weighted],
        *,
        epoch: int,
        generator: torch.Generator,
        augmentation: torch.Generator,
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """Yield what to step on; the model has made its step when the next one is asked for.

        Args:
            task: Whose model judges the candidates.
            candidates: The candidates of each mini-batch, int64 (M,) indices on the CPU and their
                weights float32 (M,) on the CPU, or ``None`` when all are equal.
            epoch: The current epoch, from 0.
            generator: The generator, on the CPU, this epoch's own, for the selection.
            augmentation: The augmentation's generator, on the task's device, this epoch's own.

        Yields:
            Batches and their weights (B,) on the task's device (``None`` when all are equal).
        """

    @property
    def considered(self) -> int:
        """Candidates of the epoch that the batch just yielded and those before it came from."""

    def observe(self, losses: Tensor) -> None:
        """Take note of the losses (B,), detached, of the batch just stepped on."""

    def metrics(self) -> dict[str, float]:
        """Scalars to report with the epoch."""

    def trace(self) -> dict[str, list[float]]:
        """The selector's scalars after each of the last epoch's selections."""

    def state_dict(self) -> dict[str, Any]:
        """What must survive a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
