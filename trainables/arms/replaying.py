"""Replaying a history, as it is or transformed."""

from __future__ import annotations

from collections.abc import Callable

import torch

from trainables.arms.per_interval import PerInterval
from trainables.arms.plan import ArmPlan
from trainables.loop.clock import PhaseClock
from trainables.loop.seeding import stream
from trainables.loop.sources import Examples, Waiting
from trainables.tasks.task import Task
from tune_select.history import HistoryAccess, HistoryIdentity, Interval
from tune_select.history.subsets import subset_of
from tune_select.selection import ReplayTransform

_FIRST_WAIT = 5
"""How many times as long a replay waits for the first interval. It has trained nothing, and its
process came up beside the seed's, on a slot that nobody else wants: one that steps aside may lose
that process, and seconds until the next one is up."""


class Replaying(PerInterval):
    """Replays a history, waiting a bounded time for intervals that are not published yet.

    A transform turns each recorded subset into the one to train on, with a draw that trials of the
    same seed share. With ``selection.align: progress`` the history's warm start and intervals are
    stretched or squeezed over the trial's own epochs.
    """

    def __init__(
        self,
        history: HistoryAccess,
        plan: ArmPlan,
        clock: PhaseClock,
        wait_s: float,
        check: Callable[[HistoryIdentity], None],
        transform: ReplayTransform,
        seed: int,
    ) -> None:
        super().__init__(plan)
        self._history = history
        self._clock = clock
        self._wait_s = wait_s
        self._check = check
        self._transform = transform
        self._seed = seed
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

    def selection_metrics(self) -> dict[str, float]:
        """The recorded gradient errors, unless a transform has made other subsets."""
        return {} if self._transform.settings() else super().selection_metrics()

    def _prepare(self, interval: Interval, task: Task) -> Examples:
        if not self._transform.settings():
            return super()._prepare(interval, task)
        epochs = self._plan.epochs if self._identity is None else self._identity.max_epochs
        subset = self._transform.apply(
            subset_of(interval),
            task.train_size,
            stream(self._seed, "replay", interval.number),
            (interval.start + interval.end) / 2 / epochs,
        )
        return Examples(subset.indices, subset.weights, subset.batches)

    def _number(self, epoch: int) -> int:
        number = None
        if self._identity is not None:
            number = self._by_progress(epoch, self._identity)
        return super()._number(epoch) if number is None else number

    def _by_progress(self, epoch: int, identity: HistoryIdentity) -> int | None:
        return identity.interval_at(epoch, align="progress", max_epochs=self._plan.epochs)

    def _next(self, number: int, task: Task) -> Interval | None:
        self._check_once()  # before anything is asked of a history that does not fit
        patience_s = self._wait_s * (1 if number else _FIRST_WAIT)
        with self._clock.phase("wait"):
            interval = self._history.read(number, patience_s, self._plan.selection.fraction)
        if interval is not None:
            self._check_once()
            assert self._checked  # a history with an interval has begun
        return interval

    def _check_once(self) -> None:
        if self._checked:
            return
        identity = self._history.identity()
        if identity is not None:
            self._check(identity)
            self._checked = True
