"""In which order trials are handed out: seeds, then every point with every arm and seed."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_select.arms import RESOLVED_ARM, Arm
from tune_select.history.location import history_location
from tune_select.scheduling.seed_progress import COMPLETE
from tune_select.search.crossing import CONFIGURATION, Assignment, Crossing, name_of
from tune_select.search.earlier import Earlier
from tune_select.search.fits import check_replay
from tune_select.search.nearest_seed import nearest_seed
from tune_select.search.space import merged

_BACKLOG = 1000  # replays drawn beside their baselines that may wait for a history
_MOST_REPEATS = 200  # draws in a row, beyond the earlier points, that gave nothing new
_NOT_OF_THE_POINT = ("arm", "seed", "history", CONFIGURATION, RESOLVED_ARM)


class Exhausted(Exception):
    """There is no further point."""


@dataclass
class _History:
    """A history as the reports of its seed tell of it."""

    complete: bool = False
    failed: bool = False


@dataclass
class TrialOrder:
    """Decides what is handed out next. Plain data, so that a search algorithm's state carries it.

    Attributes:
        crossing: What points are crossed with.
        room: How many replays may start beside seeds that still run; the scheduler says.
        open: The histories of those seeds, by name.
        closed: Whether no further points are to be drawn; those drawn are trained with all arms.
        earlier: Points that an earlier search has trained, if this one goes on from it.
    """

    crossing: Crossing
    room: int = 0
    open: frozenset[str] = frozenset()
    closed: bool = False
    earlier: Earlier | None = None
    _seeds_given: int = 0
    _points: int = 0
    _repeats: int = 0  # of those, the ones that an earlier search had trained
    _repeats_in_a_row: int = 0
    _numbers: int = 0  # of points that are not a seed's
    _backlog: deque[Assignment] = field(default_factory=deque)
    _histories: dict[str, _History] = field(default_factory=dict)
    _seed_trials: dict[str, str] = field(default_factory=dict)  # trial id: history
    _live: set[str] = field(default_factory=set)
    _drained: bool = False
    _trained: set[str] = field(default_factory=set)  # what the trials of shared arms train

    def __post_init__(self) -> None:
        seeds = self.crossing.seed_configs
        for config in seeds:
            name = self.crossing.history_of(config)
            self._histories[name] = _History(complete=self._is_finished(config))
        if self.earlier is not None:
            self._numbers = max(0, self.earlier.numbers_from - len(seeds))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Also takes what an earlier version saved, which had trained everything anew."""
        self.__dict__.update({"_trained": set(), **state})

    def next(
        self, draw: Callable[[int], Mapping[str, Any] | None], *, eager: bool
    ) -> Assignment | None:
        """The next trial, or ``None`` when it must wait.

        Once seeds have failed for good and nothing else is alive, that is a replay which cannot
        run, so that the scheduler is called and ends the run.

        Args:
            draw: Gives the whole configuration of a new point, told how many were drawn before;
                ``None`` when there is none yet, or raises ``Exhausted``.
            eager: Whether to draw points while all histories are closed, so that baselines can use
                the resources beside the seed.

        Raises:
            Exhausted: Everything is handed out.
        """
        while self._seeds_given < len(self.crossing.seed_configs):
            self._seeds_given += 1
            if not self._is_finished(self.crossing.seed_configs[self._seeds_given - 1]):
                return self._seed(self._seeds_given - 1)
        while True:
            # What waits for nobody goes first: a replay beside its running seed may have to wait
            # for an interval while a baseline could have trained in its place.
            ready = next((job for job in self._backlog if self._waits_for_nobody(job)), None)
            if ready is None and self.room > 0:
                ready = next((job for job in self._backlog if job.history in self.open), None)
            if ready is None and self._backlog and self._is_stuck():
                ready = self._backlog[0]
            if ready is not None:
                self._backlog.remove(ready)
                if ready.is_replay and not self._complete(ready.history):
                    self.room -= 1
                return ready
            if not self._may_draw(eager) and not self._is_stuck():
                return None
            try:
                point = self._new_point(draw)
            except Exhausted:
                self._drained = True
                continue
            if point is None:
                return None
            self._backlog.extend(job for job in self.cross(point) if self._is_new(job))

    def _new_point(
        self, draw: Callable[[int], Mapping[str, Any] | None]
    ) -> Mapping[str, Any] | None:
        """Draw until there is a point that no earlier search has trained.

        Raises:
            Exhausted: There is none, or as many as this search was to add have been drawn.
        """
        earlier = self.earlier
        if earlier is None:
            return draw(self._points)
        if self._points - self._repeats >= earlier.more:
            raise Exhausted
        while self._repeats_in_a_row <= _MOST_REPEATS + len(earlier.points):
            point = draw(self._points)
            if point is None:
                return None
            if earlier.find(point) is None:
                self._repeats_in_a_row = 0
                return point
            self._points += 1
            self._repeats += 1
            self._repeats_in_a_row += 1
        raise Exhausted

    def total(self, points: int) -> int:
        """Trials in all when ``points`` points are drawn; -1 (no end) gives the largest number."""
        crossing = self.crossing
        each = len(crossing.arms) * len(crossing.seeds)
        if self.earlier is not None:
            points = self.earlier.more
        if points < 0 or points > sys.maxsize // each - len(crossing.seed_configs):
            return sys.maxsize
        seeds = sum(not self._is_finished(config) for config in crossing.seed_configs)
        return seeds + points * each

    def handed_out(self, trial_id: str, assignment: Assignment) -> None:
        """Remember under which id a trial runs."""
        self._live.add(trial_id)
        if assignment.is_seed:
            self._seed_trials[trial_id] = assignment.history

    def note_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Learn whether a seed has completed its history."""
        history = self._of_seed(trial_id)
        if history is not None:
            history.complete = history.complete or bool(result.get(COMPLETE))
            history.failed = False

    def note_end(self, trial_id: str, result: Mapping[str, Any] | None, *, error: bool) -> None:
        """Learn that a trial has ended for good.

        Args:
            trial_id: The id of the trial.
            result: Its last report, or ``None`` where it never reported.
            error: Whether it failed.
        """
        self._live.discard(trial_id)
        history = self._of_seed(trial_id)
        if history is not None:
            if result and not error:
                self.note_result(trial_id, result)
            history.failed = not history.complete

    def forget_failures(self) -> None:
        """After a restore: a seed that failed may be tried again."""
        for history in self._histories.values():
            history.failed = False
        self.room = 0

    def seed_failed(self, trial_id: str) -> None:
        """Learn that a restored seed stays failed."""
        self.note_end(trial_id, None, error=True)

    def _is_finished(self, seed: Mapping[str, Any]) -> bool:
        """Whether an earlier search has run a seed trial."""
        earlier = self.earlier
        return earlier is not None and self.crossing.history_of(seed) in earlier.histories

    def _of_seed(self, trial_id: str) -> _History | None:
        name = self._seed_trials.get(trial_id)
        return None if name is None else self._histories[name]

    def _complete(self, name: str) -> bool:
        # What no seed of this sweep writes was finished before; the scheduler checks that.
        return name not in self._histories or self._histories[name].complete

    def _waits_for_nobody(self, job: Assignment) -> bool:
        return not job.is_replay or self._complete(job.history)

    def _may_draw(self, eager: bool) -> bool:
        if self._drained or self.closed:
            if self._backlog:
                return False
            raise Exhausted
        if len(self._backlog) >= _BACKLOG:
            return False
        baselines = set(self.crossing.arm_names) - set(self.crossing.replay_arms)
        if not self._histories or (eager and baselines):
            return True
        return (self.room > 0 and bool(self.open)) or any(
            history.complete for history in self._histories.values()
        )

    def _seed(self, index: int) -> Assignment:
        config = dict(self.crossing.seed_configs[index])
        config[self.crossing.arm_key] = self.crossing.seed_arm
        config.setdefault(self.crossing.seed_key, self.crossing.seeds[0])
        same = (i for i, seed in enumerate(self.crossing.seed_configs) if _same_point(seed, config))
        number = next(same, index)  # seeds that differ in nothing but their training seed share it
        config[CONFIGURATION] = number
        return Assignment(config, number, -1, self.crossing.history_of(config), is_seed=True)

    def _number_of(self, point: Mapping[str, Any]) -> int:
        """The number of a new point; one equal to a seed's configuration shares the seed's."""
        seeds = self.crossing.seed_configs
        same = [i for i, seed in enumerate(seeds) if _same_point(seed, point)]
        number = same[0] if same else len(seeds) + self._numbers
        self._numbers += not same
        return number

    def _is_new(self, job: Assignment) -> bool:
        """Whether nothing that was handed out before trains what ``job`` would."""
        training = self.crossing.training_of(job.config)
        if training is None:
            return True
        known = training in self._trained
        self._trained.add(training)
        return not known

    def cross(self, point: Mapping[str, Any]) -> list[Assignment]:
        """All trials of the next point, those among them that others stand for."""
        number, drawing = self._number_of(point), self._points
        self._points += 1
        jobs = [
            self._assignment(point, arm, seed, number, drawing)
            for seed in self.crossing.seeds
            for arm in self.crossing.arms
        ]
        for job in jobs:
            self._check_replay(job)
        return jobs

    def foresee(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Refuse points of which a replay could not train, before anything is handed out.

        Args:
            points: Whole configurations without an arm.

        Raises:
            ValueError: See ``check_replay``.
        """
        for point in points:
            for seed in self.crossing.seeds:
                for arm in self.crossing.arms:
                    if name_of(arm) in self.crossing.replay_arms:
                        self._check_replay(self._assignment(point, arm, seed, 0, 0))

    def _assignment(
        self, point: Mapping[str, Any], arm: str | Arm, seed: int, number: int, drawing: int
    ) -> Assignment:
        """One arm's trial at a point."""
        crossing = self.crossing
        config = {**crossing.trial(point, arm, seed), CONFIGURATION: number}
        is_replay = name_of(arm) in crossing.replay_arms
        if is_replay:
            self._take_nearest_seed(config)
        name = crossing.history_of(config) if is_replay else ""
        return Assignment(config, number, drawing, name, is_replay=is_replay)

    def _check_replay(self, job: Assignment) -> None:
        """Refuse a replay that its history cannot fit."""
        if not job.is_replay:
            return
        crossing = self.crossing
        name = str(job.config[crossing.arm_key])
        arm = next(arm for arm in crossing.arms if name_of(arm) == name)
        for seed in crossing.seed_configs:
            if crossing.history_of(seed) == job.history:
                check_replay(job.config, seed, arm)

    def _take_nearest_seed(self, config: dict[str, Any]) -> None:
        crossing = self.crossing
        if not crossing.seed_by or crossing.history_of(config) in self._histories:
            return
        seed = nearest_seed(config, crossing.seed_configs, crossing.seed_by)
        config["history"] = history_location(seed)

    def _is_stuck(self) -> bool:
        """Whether only replays of failed seeds are left.

        With nothing alive Tune would ask for a trial for ten minutes before it calls the scheduler
        again, which is to end the run. One of those replays, which the scheduler will hold, makes
        it go on.
        """
        return not self._live and any(history.failed for history in self._histories.values())


def _same_point(seed: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    def text(config: Mapping[str, Any]) -> str:
        kept = {key: value for key, value in config.items() if key not in _NOT_OF_THE_POINT}
        return json.dumps(kept, sort_keys=True, default=str)

    return text(merged(point, seed)) == text(point)
