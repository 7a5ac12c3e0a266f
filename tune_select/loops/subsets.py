"""Which subset an interval has: selected here, for itself or as the seed, or replayed."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from tune_select.history import (
    DatasetIdentity,
    HistoryAccess,
    HistoryIdentity,
    HistoryUnavailableError,
    Interval,
)
from tune_select.history.subsets import interval_of, subset_of
from tune_select.loops.passes import Passes
from tune_select.loops.plan import LoopPlan
from tune_select.loops.ranks import agreed, rank_and_count
from tune_select.selection import (
    ReplayTransform,
    Selector,
    Signals,
    Subset,
    gradient_error,
    random_like,
    replay_named,
    selector_named,
    trials_own,
)
from tune_select.streams import kept_randomness, stream


@dataclass
class Seconds:
    """Seconds spent so far on something other than training."""

    select_s: float = 0.0
    wait_s: float = 0.0


class Subsets(ABC):
    """Gives each epoch's interval; ``None`` stands for all the data."""

    def __init__(self, plan: LoopPlan, seconds: Seconds) -> None:
        self._plan = plan
        self._seconds = seconds

    def number_at(self, epoch: int) -> int | None:
        """The interval of an epoch."""
        return self._plan.number_at(epoch)

    @abstractmethod
    def interval(self, number: int) -> Interval:
        """Interval ``number``; numbers ascend."""

    def status(self) -> dict[str, Any]:
        """What a seed reports of itself."""
        return {}


class Selected(Subsets):
    """Selects on the loop's own model; a seed publishes what it selects.

    What a history holds already (the seed was killed after publishing) is taken from there, so that
    a restart never contradicts what replays have seen. In several processes each makes the same
    forward passes, which keeps collective operations in step, and all take rank 0's subset.
    """

    def __init__(
        self,
        plan: LoopPlan,
        seconds: Seconds,
        passes: Passes,
        history: HistoryAccess | None = None,
        identify: Callable[[Selector], HistoryIdentity] | None = None,
    ) -> None:
        super().__init__(plan, seconds)
        self._passes = passes
        own = {"seed": plan.seed} if "seed" in trials_own(plan.selector) else {}
        self._selector = selector_named(plan.selector, **{**own, **plan.settings})
        passes.check(self._selector, plan.arm)
        self._history = history
        self._complete = False
        self._published = 0
        if history is not None:
            assert identify is not None
            if rank_and_count()[0] == 0:
                self._published = history.begin(identify(self._selector))
            self._published = agreed(self._published)

    def status(self) -> dict[str, Any]:
        """``history_published`` and ``history_complete``, which the scheduler reads."""
        if self._history is None:
            return {}
        return {"history_published": self._published, "history_complete": self._complete}

    def interval(self, number: int) -> Interval:
        """Select, and publish where this is the seed; complete with the last interval."""
        there = number < self._published
        chosen = self._recorded(number) if there else agreed(self._select(number))
        if self._history is None:
            return chosen.alone()
        first_rank = rank_and_count()[0] == 0
        if not there:
            if first_rank:
                self._history.publish(chosen)
            self._published = number + 1
        if number + 1 == self._plan.interval_count:
            if first_rank:
                self._history.finish()
            self._complete = True
        return chosen.alone()

    def _recorded(self, number: int) -> Interval:
        assert self._history is not None
        found = self._history.read(number, 60.0)
        if found is None:
            raise HistoryUnavailableError(f"interval {number}, published before, cannot be read")
        self._seconds.select_s += found.select_s
        return found

    def _select(self, number: int) -> Interval:
        size = len(self._passes.dataset)
        untrained = number == 0 and self._plan.warm_start_epochs == 0
        at_random = untrained and self._plan.first_subset == "random"
        selector = random_like(self._selector) if at_random else self._selector
        begun = time.perf_counter()
        with kept_randomness():
            signals = self._passes.signals(selector)
            generator = stream(self._plan.seed, "selection", number)
            fractions = self._plan.fractions
            budgets = [self._plan.budget(size, fraction) for fraction in fractions]
            subsets = selector.select_path(signals, budgets, generator)
        select_s = time.perf_counter() - begun
        self._seconds.select_s += select_s
        intervals = {
            fraction: interval_of(
                subset,
                number,
                self._plan.bounds(number),
                gradient_error=subset.gradient_error,
                random_gradient_error=self._random_error(number, signals, len(subset)),
                select_s=select_s,
            )
            for fraction, subset in zip(fractions, subsets, strict=True)
        }
        return replace(intervals.pop(self._plan.fraction), rungs=intervals)

    def _random_error(self, number: int, signals: Signals, size: int) -> float | None:
        """Gradient error of a random subset of that size, for comparison."""
        if signals.inputs.shape[1] == 0:
            return None
        draw = stream(self._plan.seed, "reference", number)
        indices = torch.randperm(len(signals), generator=draw)[:size]
        return gradient_error(
            signals, Subset(indices, torch.ones(size)), match=self._selector.match
        )


class Replayed(Subsets):
    """Replays a history, waiting a bounded time for what is not published yet."""

    def __init__(
        self,
        plan: LoopPlan,
        seconds: Seconds,
        history: HistoryAccess,
        dataset: DatasetIdentity,
        wait_s: float,
    ) -> None:
        super().__init__(plan, seconds)
        self._history = history
        self._dataset = dataset
        self._wait_s = wait_s
        self._transform: ReplayTransform = replay_named(plan.selector, **plan.settings)
        self._identity: HistoryIdentity | None = None
        self._known()  # a history of other data is refused at once

    def number_at(self, epoch: int) -> int | None:
        """The seed's corresponding interval."""
        if self._plan.align == "epoch":
            return super().number_at(epoch)
        identity = self._known()
        if identity is None:
            self._read(0)
            identity = self._known()
            assert identity is not None  # a history with an interval has begun
        return identity.interval_at(epoch, align="progress", max_epochs=self._plan.epochs)

    def interval(self, number: int) -> Interval:
        """Read, check once that the history fits, and transform."""
        found = self._read(number)
        identity = self._known()
        assert identity is not None  # a history with an interval has begun
        if not self._transform.settings():
            return found
        subset = self._transform.apply(
            subset_of(found),
            identity.dataset.size,
            stream(self._plan.seed, "replay", number),
            (found.start + found.end) / 2 / identity.max_epochs,
        )
        return interval_of(subset, number, (found.start, found.end))

    def _known(self) -> HistoryIdentity | None:
        """What the history is of, checked; ``None`` while no seed has begun it."""
        if self._identity is None:
            identity = self._history.identity()
            if identity is not None:
                identity.check_fits(
                    self._dataset,
                    max_epochs=self._plan.epochs,
                    select_every=self._plan.select_every,
                    fraction=self._plan.fraction,
                    warm_start_epochs=self._plan.warm_start_epochs,
                    align=self._plan.align,
                )
                self._identity = identity
        return self._identity

    def _read(self, number: int) -> Interval:
        begun = time.perf_counter()
        found = self._history.read(number, self._wait_s, self._plan.fraction)
        self._seconds.wait_s += time.perf_counter() - begun
        if found is None:
            raise HistoryUnavailableError(
                f"interval {number} of the history was not published within {self._wait_s:g} s: "
                "is its seed running? Let SeedReplayScheduler hold replays until it has finished, "
                "or raise wait_s"
            )
        return found


class Everything(Subsets):
    """All the data, each epoch."""

    def interval(self, number: int) -> Interval:
        """Never asked."""
        raise AssertionError(f"full training has no interval {number}")


@dataclass(frozen=True)
class Identifying:
    """What a seed's history is said to be of.

    Attributes:
        dataset: The training set.
        plan: The seed's.
        config: Its configuration, for people and for telling seeds apart.
    """

    dataset: DatasetIdentity
    plan: LoopPlan
    config: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, selector: Selector) -> HistoryIdentity:
        """The identity of a history that ``selector`` writes."""
        return HistoryIdentity(
            dataset=self.dataset,
            fraction=self.plan.fraction,
            select_every=self.plan.select_every,
            max_epochs=self.plan.epochs,
            algorithm=self.plan.algorithm,
            settings=selector.settings(),
            seed_config=dict(self.config),
            warm_start_epochs=self.plan.warm_start_epochs,
            rungs=tuple(f for f in self.plan.fractions if f != self.plan.fraction),
        )
