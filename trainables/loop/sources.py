"""Which examples an epoch trains on: everything, a selection, or a replay of another trial's.

The sources that select and replay are in ``trainables.arms``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.tasks.task import Task


@dataclass(frozen=True)
class Examples:
    """What an epoch trains on.

    Attributes:
        indices: int64 (k,) positions in the training set.
        weights: float32 (k,), or ``None`` when all are equal.
        batches: int32 (k,) batch numbers when whole batches are trained on, else ``None``.
    """

    indices: Tensor
    weights: Tensor | None = None
    batches: Tensor | None = None

    def __len__(self) -> int:
        return self.indices.shape[0]


@dataclass(frozen=True)
class Waiting:
    """The interval that an epoch needs is not published yet."""

    interval: int


class SubsetSource(ABC):
    """Says what each epoch trains on. Asked once per epoch, epochs ascending from 0."""

    @abstractmethod
    def examples(self, epoch: int, task: Task) -> Examples | Waiting:
        """The examples of ``epoch``, or which interval they wait for."""

    def selection_metrics(self) -> dict[str, float]:
        """What the last call of ``examples`` measured; empty when it selected nothing."""
        return {}

    def finish(self) -> None:
        """Called once after the last epoch."""

    def status(self) -> dict[str, Any]:
        """Further values for every report (how far a seed has published)."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What must survive a checkpoint: the current subset and its interval."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""


class Full(SubsetSource):
    """All n examples, each epoch."""

    def examples(self, epoch: int, task: Task) -> Examples:
        """Every position in the training set, equally weighted."""
        return Examples(torch.arange(task.train_size))


class WarmStart(SubsetSource):
    """All the data for the first epochs, then what the wrapped source says.

    The wrapped source sees epochs as the run counts them and must know its own offset.
    """

    _warm: bool  # of the epoch that was asked for last

    def __init__(self, source: SubsetSource, epochs: int) -> None:
        self._source = source
        self._epochs = epochs
        self._full = Full()

    def examples(self, epoch: int, task: Task) -> Examples | Waiting:
        """Everything before the warm start ends."""
        self._warm = epoch < self._epochs
        return (self._full if self._warm else self._source).examples(epoch, task)

    def selection_metrics(self) -> dict[str, float]:
        """The wrapped source's, after the warm start."""
        return {} if self._warm else self._source.selection_metrics()

    def finish(self) -> None:
        """Finish the wrapped source."""
        self._source.finish()

    def status(self) -> dict[str, Any]:
        """The wrapped source's."""
        return self._source.status()

    def state_dict(self) -> dict[str, Any]:
        """The wrapped source's."""
        return self._source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Pass the wrapped source its own."""
        self._source.load_state_dict(state)
