"""In which order trials are handed out: seeds, then every point with every arm and seed."""

from __future__ import annotations

import json
import math
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.tune.error import TuneError

from tune_select.location import history_location
from tune_select.seed_progress import COMPLETE, PUBLISHED, history_name
from tune_select.space import merged

CONFIGURATION = "configuration"
"""Key of the number that all trials of one point share."""

_BACKLOG = 1000  # replays drawn beside their baselines that may wait for a history
_NOT_OF_THE_POINT = ("arm", "seed", "history", CONFIGURATION)


class Exhausted(Exception):
    """There is no further point."""


@dataclass(frozen=True)
class Crossing:
    """What every point is crossed with.

    Attributes:
        seed_configs: Whole configurations of the seed trials; empty to replay finished histories.
        arms: Arms of every point.
        seeds: Training seeds of every arm.
        replay_arms: Those that need a history.
        seed_arm: Value of ``arm_key`` for seed trials.
        arm_key: Key of the arm in the configuration.
        seed_key: Key of the training seed.
        seed_by: Dotted keys by which a replay without a seed of its own takes the nearest; empty
            for none.
        history_of: Name of a configuration's history.
    """

    seed_configs: Sequence[Mapping[str, Any]]
    arms: Sequence[str]
    seeds: Sequence[int] = (0,)
    replay_arms: Sequence[str] = ("cached",)
    seed_arm: str = "seed"
    arm_key: str = "arm"
    seed_key: str = "seed"
    seed_by: Sequence[str] = ()
    history_of: Callable[[Mapping[str, Any]], str] = history_name

    def __post_init__(self) -> None:
        if not self.arms:
            raise ValueError("arms must name at least one arm")
        for name, values in (("arms", self.arms), ("seeds", self.seeds)):
            if len(set(values)) != len(values) or not values:
                raise ValueError(f"{name} must be distinct and not empty, got {list(values)}")
        if self.seed_arm in self.arms:
            raise ValueError(f"arms lists {self.seed_arm!r}, which is added by itself: remove it")
        names = [self.history_of(config) for config in self.seed_configs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"two seeds would write the histories {repeated}: give each its own, or run one"
            )


@dataclass(frozen=True)
class Assignment:
    """One trial to hand out.

    Attributes:
        config: Its whole configuration.
        number: Its point's number.
        point: Which drawing its point came from; -1 for seeds.
        history: Name of its history, where it has one.
        is_seed: Whether it publishes.
        is_replay: Whether it replays.
    """

    config: dict[str, Any]
    number: int
    point: int
    history: str
    is_seed: bool = False
    is_replay: bool = False


@dataclass
class _History:
    """A history as the reports of its seed tell of it."""

    complete: bool = False
    published: int = 0
    failed: bool = False


@dataclass
class TrialOrder:
    """Decides what is handed out next. Plain data, so that a search algorithm's state carries it.

    Attributes:
        crossing: What points are crossed with.
        room: How many replays may start beside seeds that still run; the scheduler says.
    """

    crossing: Crossing
    room: int = 0
    _seeds_given: int = 0
    _points: int = 0
    _numbers: int = 0  # of points that are not a seed's
    _backlog: deque[Assignment] = field(default_factory=deque)
    _histories: dict[str, _History] = field(default_factory=dict)
    _seed_trials: dict[str, str] = field(default_factory=dict)  # trial id: history
    _live: set[str] = field(default_factory=set)
    _drained: bool = False

    def __post_init__(self) -> None:
        for config in self.crossing.seed_configs:
            self._histories[self.crossing.history_of(config)] = _History()

    def next(
        self, draw: Callable[[int], Mapping[str, Any] | None], *, eager: bool
    ) -> Assignment | None:
        """The next trial, or ``None`` when it must wait.

        Args:
            draw: Gives the whole configuration of a new point, told how many were drawn before;
                ``None`` when there is none yet, or raises ``Exhausted``.
            eager: Whether to draw points while all histories are closed, so that baselines can use
                the resources beside the seed.

        Raises:
            Exhausted: Everything is handed out.
            ray.tune.TuneError: Seeds failed for good, and nothing else is alive.
        """
        if self._seeds_given < len(self.crossing.seed_configs):
            self._seeds_given += 1
            return self._seed(self._seeds_given - 1)
        self._raise_if_stuck()
        while True:
            ready = next((job for job in self._backlog if self._ready(job)), None)
            if ready is not None:
                self._backlog.remove(ready)
                if ready.is_replay and not self._complete(ready.history):
                    self.room -= 1
                return ready
            if not self._may_draw(eager):
                return None
            try:
                point = draw(self._points)
            except Exhausted:
                self._drained = True
                continue
            if point is None:
                return None
            self._backlog.extend(self._cross(point))

    def total(self, points: int) -> int:
        """Trials in all when ``points`` points are drawn; -1 (no end) gives the largest number."""
        crossing = self.crossing
        each = len(crossing.arms) * len(crossing.seeds)
        if points < 0 or points > sys.maxsize // each - len(crossing.seed_configs):
            return sys.maxsize
        return len(crossing.seed_configs) + points * each

    def handed_out(self, trial_id: str, assignment: Assignment) -> None:
        """Remember under which id a trial runs."""
        self._live.add(trial_id)
        if assignment.is_seed:
            self._seed_trials[trial_id] = assignment.history

    def note_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Learn what a seed has published."""
        history = self._of_seed(trial_id)
        if history is not None:
            history.published = max(history.published, int(result.get(PUBLISHED) or 0))
            history.complete = history.complete or bool(result.get(COMPLETE))
            history.failed = False

    def note_end(self, trial_id: str, result: Mapping[str, Any] | None, *, error: bool) -> None:
        """Learn that a trial has ended for good."""
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

    def _of_seed(self, trial_id: str) -> _History | None:
        name = self._seed_trials.get(trial_id)
        return None if name is None else self._histories[name]

    def _complete(self, name: str) -> bool:
        # What no seed of this sweep writes was finished before; the scheduler checks that.
        return name not in self._histories or self._histories[name].complete

    def _ready(self, job: Assignment) -> bool:
        if not job.is_replay or self._complete(job.history):
            return True
        return self.room > 0 and self._histories[job.history].published > 0

    def _may_draw(self, eager: bool) -> bool:
        if self._drained:
            if self._backlog:
                return False
            raise Exhausted
        if len(self._backlog) >= _BACKLOG:
            return False
        baselines = set(self.crossing.arms) - set(self.crossing.replay_arms)
        if not self._histories or (eager and baselines):
            return True
        return any(
            history.complete or (self.room > 0 and history.published > 0)
            for history in self._histories.values()
        )

    def _seed(self, index: int) -> Assignment:
        config = dict(self.crossing.seed_configs[index])
        config[self.crossing.arm_key] = self.crossing.seed_arm
        config.setdefault(self.crossing.seed_key, self.crossing.seeds[0])
        config[CONFIGURATION] = index
        return Assignment(config, index, -1, self.crossing.history_of(config), is_seed=True)

    def _cross(self, point: Mapping[str, Any]) -> list[Assignment]:
        """All trials of a point; one equal to a seed's configuration shares the seed's number."""
        crossing = self.crossing
        same = [i for i, seed in enumerate(crossing.seed_configs) if _same_point(seed, point)]
        number = same[0] if same else len(crossing.seed_configs) + self._numbers
        drawing = self._points
        self._points += 1
        self._numbers += not same
        jobs = []
        for seed in crossing.seeds:
            for arm in crossing.arms:
                config = {
                    **point,
                    crossing.arm_key: arm,
                    crossing.seed_key: seed,
                    CONFIGURATION: number,
                }
                is_replay = arm in crossing.replay_arms
                if is_replay:
                    self._take_nearest_seed(config)
                name = crossing.history_of(config) if is_replay else ""
                jobs.append(Assignment(config, number, drawing, name, is_replay=is_replay))
        return jobs

    def _take_nearest_seed(self, config: dict[str, Any]) -> None:
        crossing = self.crossing
        if not crossing.seed_by or crossing.history_of(config) in self._histories:
            return
        seed = nearest_seed(config, crossing.seed_configs, crossing.seed_by)
        config["history"] = history_location(seed)

    def _raise_if_stuck(self) -> None:
        # With nothing alive Tune asks for a trial for ten minutes before the scheduler, which
        # words this better, is called again. Nothing is called finished here: a resumed sweep
        # goes on handing out once its seed has made up for it.
        failed = [name for name, history in self._histories.items() if history.failed]
        if failed and not self._live:
            ids = [trial for trial, name in self._seed_trials.items() if name in failed]
            raise TuneError(
                f"seed trial {', '.join(ids)} failed before its history was complete, and nothing "
                "else is left to run: mend the cause (its error.txt) and resume the sweep"
            )


def nearest_seed(
    config: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> Mapping[str, Any]:
    """The seed configuration whose values of ``keys`` are nearest to those of ``config``.

    Positive numbers are compared by their ratio, other numbers by their difference; any other two
    values are equal or further apart than numbers ever are.

    Args:
        config: A replay's configuration.
        seeds: Configurations to choose from.
        keys: Dotted keys, all of equal rank.
    """

    def distance(seed: Mapping[str, Any]) -> float:
        return sum(_apart(_value(config, key), _value(seed, key)) for key in keys)

    return min(seeds, key=distance)


_UNLIKE = 1e9


def _apart(mine: Any, theirs: Any) -> float:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (mine, theirs))
    if not numbers:
        return 0.0 if mine == theirs else _UNLIKE
    if mine > 0 and theirs > 0:
        return abs(math.log(mine / theirs))
    return abs(float(mine) - float(theirs))


def _value(config: Mapping[str, Any], dotted: str) -> Any:
    node: Any = config
    for part in dotted.split("."):
        if not isinstance(node, Mapping) or part not in node:
            raise ValueError(f"seed_by names {dotted!r}, which a trial's configuration lacks")
        node = node[part]
    return node


def _same_point(seed: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    def text(config: Mapping[str, Any]) -> str:
        kept = {key: value for key, value in config.items() if key not in _NOT_OF_THE_POINT}
        return json.dumps(kept, sort_keys=True, default=str)

    return text(merged(point, seed)) == text(point)
