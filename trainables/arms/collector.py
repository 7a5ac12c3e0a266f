"""Chosen examples gathered until they fill a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from trainables.tasks.batches import join, take, to_device
from trainables.tasks.task import Batch


class Collector:
    """Gathers chosen examples over mini-batches and epochs (Jiang et al. 2019, Algorithm 1).

    Args:
        size: Examples of a full batch.
        device: Where batches are.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self._size = size
        self._device = device
        self._parts: list[tuple[Batch, Tensor]] = []

    def add(self, batch: Batch, weights: Tensor) -> None:
        """Add any number of examples with their weights (B,)."""
        if len(batch):
            self._parts.append((batch, weights))

    def batches(self, least: int | None = None) -> Iterator[tuple[Batch, Tensor]]:
        """Take out full batches, in the order in which their examples came.

        Args:
            least: Take out a smaller last batch too if it has at least this many examples, and at
                least the two that batch normalisation needs.
        """
        waiting = sum(len(batch) for batch, _ in self._parts)
        while waiting >= max(2, self._size if least is None else least):
            batch = join([batch for batch, _ in self._parts])
            weights = torch.cat([weights for _, weights in self._parts])
            positions = torch.arange(waiting, device=self._device)
            now, later = positions[: self._size], positions[self._size :]
            waiting = len(later)
            self._parts = [(take(batch, later), weights[later])] if waiting else []
            yield take(batch, now), weights[now]

    def state_dict(self) -> dict[str, Any]:
        """The examples that wait, in tensors and plain containers."""
        return {
            "parts": [
                {"indices": b.indices, "inputs": b.inputs, "targets": b.targets, "weights": weights}
                for b, weights in self._parts
            ]
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._parts = []
        for saved in state["parts"]:
            moved = to_device(saved, self._device)
            batch = Batch(moved["indices"], moved["inputs"], moved["targets"])
            self._parts.append((batch, moved["weights"]))
