"""Which examples an epoch trains on: everything, a selection, or a replay of another trial's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from trainables.clock import PhaseClock
from trainables.seeding import stream
from trainables.settings import ArmPlan
from trainables.task import Task
from tune_select.history import HistoryAccess, HistoryIdentity, Interval
from tune_select.selection import Selector, Signals, Subset, gradient_error, mean_gradient


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


class _PerInterval(SubsetSource):
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
            self._hold(interval)
        assert self._examples is not None
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
        if not state:
            self._current = self._examples = None
            return
        plain: dict[str, Any] = {
            key: value.numpy() if isinstance(value, Tensor) else value
            for key, value in state.items()
        }
        self._hold(Interval(**plain))

    def _hold(self, interval: Interval) -> None:
        self._current = interval
        # Histories hand out read-only arrays that trials share: copy before torch may write.
        batches = interval.batches
        self._examples = Examples(
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


class Selecting(_PerInterval):
    """Runs a selector on the trial's own model every R epochs.

    With a history it is the seed: each subset is published before it is trained on. An interval
    that the history holds already (the seed was killed after publishing) is taken from there, so
    that a restart can never contradict what replays have seen, also where a device's arithmetic
    does not repeat itself bit by bit.
    """

    def __init__(
        self,
        selector: Selector,
        plan: ArmPlan,
        clock: PhaseClock,
        seed: int,
        history: HistoryAccess | None = None,
        identity: HistoryIdentity | None = None,
    ) -> None:
        super().__init__(plan)
        self._selector = selector
        self._clock = clock
        self._seed = seed
        self._history = history
        self._published = 0
        self._complete = False
        if history is not None:
            assert identity is not None
            self._published = history.begin(identity)

    def status(self) -> dict[str, Any]:
        """``history_published`` and ``history_complete`` of a seed."""
        if self._history is None:
            return {}
        return {"history_published": self._published, "history_complete": self._complete}

    def finish(self) -> None:
        """Declare the seed's history complete."""
        if self._history is not None:
            self._history.finish()
            self._complete = True

    def _next(self, number: int, task: Task) -> Interval:
        if self._history is not None and number < self._published:
            interval = self._history.read(number, timeout_s=60.0)
            if interval is not None:
                self._clock.add("select", interval.select_s)
                return interval
        interval = self._select(number, task)
        if self._history is not None:
            self._history.publish(interval)
            self._published = number + 1
        return interval

    def _select(self, number: int, task: Task) -> Interval:
        before_s = self._clock.seconds()["select_s"]
        budget = max(1, round(self._plan.selection.fraction * task.train_size))
        with self._clock.phase("select"):
            signals = signals_for(self._selector, task)
            generator = stream(self._seed, "selection", number)
            subset = self._selector.select(signals, budget, generator)
        select_s = self._clock.seconds()["select_s"] - before_s
        errors = self._errors(number, signals, subset, task)
        start, end = self._bounds(number)
        return Interval(
            number, start, end,
            indices=subset.indices.numpy(), weights=subset.weights.numpy(),
            batches=None if subset.batches is None else subset.batches.numpy(),
            gradient_error=errors[0], random_gradient_error=errors[1],
            select_s=select_s, filled=subset.filled,
        )  # fmt: skip

    def _errors(
        self, number: int, signals: Signals, subset: Subset, task: Task
    ) -> tuple[float | None, float | None]:
        """Relative gradient errors of the subset and of a random one of its size."""
        record = self._plan.selection.record_gradient_error
        if not record:
            return subset.gradient_error, None
        with self._clock.phase("eval"):
            if signals.inputs.shape[1] == 0:
                if record == "auto":
                    return subset.gradient_error, None
                signals = task.signals("train")
            mean = mean_gradient(signals)
            draw = stream(self._seed, "reference", number)
            indices = torch.randperm(len(signals), generator=draw)[: len(subset)]
            reference = Subset(indices, torch.ones(len(subset)))
            return (
                gradient_error(signals, subset, mean=mean),
                gradient_error(signals, reference, mean=mean),
            )


def signals_for(selector: Selector, task: Task) -> Signals:
    """Collect what ``selector`` asks for, and no more."""
    if not selector.needs_gradients:
        signals = Signals.labels_only(task.labels)
    else:
        signals = task.signals("train")
    if not selector.needs_validation:
        return signals
    return Signals(
        signals.labels, signals.inputs, signals.output_gradients, signals.bias, signals.losses,
        validation=task.signals("validation", gradients=bool(selector.needs_gradients)),
    )  # fmt: skip


class Transform(Protocol):
    """Turns a recorded subset into the one to train on (a mixture with fresh examples, say)."""

    def __call__(self, interval: Interval, train_size: int, generator: torch.Generator) -> Examples:
        """The examples of one interval."""


class Replaying(_PerInterval):
    """Replays a history, waiting a bounded time for intervals that are not published yet.

    With ``selection.align: progress`` the history's warm start and intervals are stretched or
    squeezed over the trial's own epochs.
    """

    def __init__(
        self,
        history: HistoryAccess,
        plan: ArmPlan,
        clock: PhaseClock,
        wait_s: float,
        check: Callable[[HistoryIdentity], None],
    ) -> None:
        super().__init__(plan)
        self._history = history
        self._clock = clock
        self._wait_s = wait_s
        self._check = check
        self._checked = False
        self._identity: HistoryIdentity | None = None  # only with align: progress

    def examples(self, epoch: int, task: Task) -> Examples | Waiting:
        """The subset of the seed's corresponding epoch; everything in its warm start."""
        if self._plan.selection.align == "progress":
            self._identity = self._identity or self._history.identity()
            if self._identity is None:
                return Waiting(0)
            if self._by_progress(epoch, self._identity) is None:
                self._fresh = False
                return Examples(torch.arange(task.train_size))
        return super().examples(epoch, task)

    def _number(self, epoch: int) -> int:
        number = None
        if self._identity is not None:
            number = self._by_progress(epoch, self._identity)
        return super()._number(epoch) if number is None else number

    def _by_progress(self, epoch: int, identity: HistoryIdentity) -> int | None:
        return identity.interval_at(epoch, align="progress", max_epochs=self._plan.epochs)

    def _next(self, number: int, task: Task) -> Interval | None:
        with self._clock.phase("wait"):
            interval = self._history.read(number, self._wait_s)
        if interval is None:
            return None
        if not self._checked:
            identity = self._history.identity()
            assert identity is not None  # a history with an interval has begun
            self._check(identity)
            self._checked = True
        return interval
