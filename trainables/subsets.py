"""Which examples an epoch trains on: everything, a selection, or a replay of another trial's.

The sources that select and replay are in ``trainables.selecting`` and ``trainables.replaying``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.plan import ArmPlan
from trainables.task import Task
from tune_select.history import Interval


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

    def __init__(self, source: SubsetSource, epochs: int) -> None:
        self._source = source
        self._epochs = epochs
        self._full = Full()
        self._warm = False

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


class PerInterval(SubsetSource):
    """Holds one interval's subset for R epochs."""

    def __init__(self, plan: ArmPlan) -> None:
        self._plan = plan
        self._current: Interval | None = None
        self._examples: Examples | None = None
        self._fresh = False

    def examples(self, epoch: int, task: Task) -> Examples | Waiting:
        """The current subset, renewed where ``epoch`` begins an interval."""
        number = self._number(epoch)
        self._fresh = self._current is None or self._current.number != number
        if self._fresh:
            interval = self._next(number, task)
            if interval is None:
                self._fresh = False
                return Waiting(number)
            self._current, self._examples = interval, None
        assert self._current is not None
        if self._examples is None:
            self._examples = self._prepare(self._current, task)
        return self._examples

    def selection_metrics(self) -> dict[str, float]:
        """Gradient errors of the subset, on the epoch that began with it."""
        if not self._fresh or self._current is None:
            return {}
        pairs = {
            "gradient_error": self._current.gradient_error,
            "random_gradient_error": self._current.random_gradient_error,
        }
        return {key: value for key, value in pairs.items() if value is not None}

    def state_dict(self) -> dict[str, Any]:
        """The current interval, in plain values and tensors."""
        if self._current is None:
            return {}
        held = {name: getattr(self._current, name) for name in _INTERVAL_SCALARS}
        arrays = {name: getattr(self._current, name) for name in ("indices", "weights", "batches")}
        tensors = {k: None if v is None else torch.tensor(v) for k, v in arrays.items()}
        return {**held, **tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hold the checkpoint's interval again."""
        plain: dict[str, Any] = {
            key: value.numpy() if isinstance(value, Tensor) else value
            for key, value in state.items()
        }
        self._current = Interval(**plain) if plain else None
        self._examples = None

    def _prepare(self, interval: Interval, task: Task) -> Examples:
        """What to train on in ``interval``."""
        # Histories hand out read-only arrays that trials share: copy before torch may write.
        batches = interval.batches
        return Examples(
            torch.tensor(interval.indices),
            torch.tensor(interval.weights),
            None if batches is None else torch.tensor(batches),
        )

    def _number(self, epoch: int) -> int:
        return (epoch - self._plan.warm_start_epochs) // self._plan.selection.select_every

    def _bounds(self, number: int) -> tuple[int, int]:
        start = self._plan.warm_start_epochs + number * self._plan.selection.select_every
        return start, min(start + self._plan.selection.select_every, self._plan.epochs)

    @abstractmethod
    def _next(self, number: int, task: Task) -> Interval | None:
        """Interval ``number``, or ``None`` when it is not there yet."""


_INTERVAL_SCALARS = (
    "number", "start", "end", "gradient_error", "random_gradient_error", "select_s", "filled",
)  # fmt: skip
