"""Selecting on the trial's own model, for itself or as the seed of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from trainables.arms.per_interval import PerInterval
from trainables.arms.plan import ArmPlan
from trainables.loop.clock import PhaseClock
from trainables.loop.seeding import stream
from trainables.tasks.task import Task
from tune_select.history import HistoryAccess, HistoryIdentity, Interval
from tune_select.history.subsets import interval_of
from tune_select.selection import (
    Selector,
    Signals,
    Subset,
    gradient_error,
    mean_gradient,
    random_like,
)


class Selecting(PerInterval):
    """Runs a selector on the trial's own model every R epochs.

    With a history it is the seed: each subset is published before it is trained on. An interval
    that the history holds already (the seed was killed after publishing) is taken from there, so
    that a restart can never contradict what replays have seen, also where a device's arithmetic
    does not repeat itself bit by bit. With ``selection.rungs``, one selection gives the subsets of
    all their fractions (``Selector.select_path``), which are published together; the trial itself
    trains on the one of its own fraction.
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
        return interval.alone()

    def _select(self, number: int, task: Task) -> Interval:
        before_s = self._clock.seconds()["select_s"]
        plan = self._plan
        fractions = plan.selection.fractions
        budgets = [max(1, round(fraction * task.train_size)) for fraction in fractions]
        untrained = number == 0 and plan.warm_start_epochs == 0
        at_random = untrained and plan.selection.first_subset == "random"
        selector = random_like(self._selector) if at_random else self._selector
        with self._clock.phase("select"):
            signals = signals_for(selector, task)
            generator = stream(self._seed, "selection", number)
            subsets = selector.select_path(signals, budgets, generator)
        select_s = self._clock.seconds()["select_s"] - before_s
        intervals = {
            fraction: interval_of(
                subset,
                number,
                self._bounds(number),
                gradient_error=errors[0],
                random_gradient_error=errors[1],
                select_s=select_s,
            )
            for fraction, subset, errors in zip(
                fractions, subsets, self._errors(number, signals, subsets, task), strict=True
            )
        }
        return replace(intervals.pop(plan.selection.fraction), rungs=intervals)

    def _errors(
        self, number: int, signals: Signals, subsets: Sequence[Subset], task: Task
    ) -> list[tuple[float | None, float | None]]:
        """Relative gradient errors of each subset and of a random one of its size."""
        record = self._plan.selection.record_gradient_error
        unknown = signals.inputs.shape[1] == 0
        if not record or (unknown and record == "auto"):
            return [(subset.gradient_error, None) for subset in subsets]
        with self._clock.phase("eval"):
            if unknown:
                signals = task.signals("train")
            match = self._selector.match
            mean = mean_gradient(signals, match)
            draw = stream(self._seed, "reference", number)
            order = torch.randperm(len(signals), generator=draw)
            references = [Subset(order[: len(s)], torch.ones(len(s))) for s in subsets]
            return [
                (
                    gradient_error(signals, subset, match=match, mean=mean),
                    gradient_error(signals, reference, match=match, mean=mean),
                )
                for subset, reference in zip(subsets, references, strict=True)
            ]


def signals_for(selector: Selector, task: Task) -> Signals:
    """Collect what ``selector`` asks for, and no more."""
    if not selector.needs_gradients:
        signals = Signals.labels_only(task.labels)
    else:
        signals = task.signals("train")
    if not selector.needs_validation:
        return signals
    return signals.with_validation(task.signals("validation", gradients=selector.needs_gradients))
