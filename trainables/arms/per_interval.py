"""A source that holds one subset for each selection interval: base of selecting and replaying."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from trainables.arms.plan import ArmPlan
from trainables.loop.sources import Examples, SubsetSource, Waiting
from trainables.tasks.task import Task
from tune_select.history import Interval
from tune_select.history.subsets import interval_from_state, interval_state, subset_of


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
        return self._current.gradient_errors()

    def state_dict(self) -> dict[str, Any]:
        """The current interval, in plain values and tensors."""
        return {} if self._current is None else interval_state(self._current)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hold the checkpoint's interval again."""
        self._current = interval_from_state(state) if state else None
        self._examples = None

    def _prepare(self, interval: Interval, task: Task) -> Examples:
        """What to train on in ``interval``."""
        subset = subset_of(interval)
        return Examples(subset.indices, subset.weights, subset.batches)

    def _number(self, epoch: int) -> int:
        return (epoch - self._plan.warm_start_epochs) // self._plan.selection.select_every

    def _bounds(self, number: int) -> tuple[int, int]:
        start = self._plan.warm_start_epochs + number * self._plan.selection.select_every
        return start, min(start + self._plan.selection.select_every, self._plan.epochs)

    @abstractmethod
    def _next(self, number: int, task: Task) -> Interval | None:
        """Interval ``number``, or ``None`` when it is not there yet."""
