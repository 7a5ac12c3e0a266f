"""What the trials of a sweep take, each measured where no alike trial was."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tune_select.arms import FULL_ARM
from tune_select.search.space import merged
from tune_select.sweep.cells import without_repeats
from tune_select.sweep.ladder import as_rival
from tune_select.sweep.outlook.jobs import Job, total
from tune_select.sweep.outlook.kept import kept_epochs
from tune_select.sweep.outlook.neighbours import Neighbours
from tune_select.sweep.outlook.planned import Trainings
from tune_select.sweep.outlook.time_left import Range
from tune_select.sweep.pace.reporting import reporting_of
from tune_select.sweep.plan import Plan


class Prices:
    """Jobs of a sweep's trials, measured where no alike trial was.

    Args:
        plan: The plan of the sweep, whose trainable offers a ``forecast``.
        dataset: What the trainable's ``load_dataset`` returned.
        threads: The threads of a trial.
        neighbours: What will run beside it.
    """

    def __init__(self, plan: Plan, dataset: Any, threads: int, neighbours: Neighbours) -> None:
        self._plan, self._dataset = plan, dataset
        self._measured: dict[str, Any] = {}
        self._given = {
            "threads": threads,
            "reporting": reporting_of(plan.config, plan.scheduler()),
            "beside": neighbours.busy,
        }
        # A class of the user's own may measure in a way of its own.
        taken = inspect.signature(plan.trainable.forecast).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
            self._given = {key: value for key, value in self._given.items() if key in taken}
        self._kept = kept_epochs(plan.scheduler(), plan.config.train.get("max_epochs"))

    def job(self, trial: Mapping[str, Any], kept: Range = (1.0, 1.0, 1.0)) -> Job:
        """One trial's.

        Args:
            trial: Its whole configuration.
            kept: Share of its epochs that a scheduler lets it train.
        """
        config, arm = self._plan.config, str(trial["arm"])
        parts = self._plan.trainable.forecast(trial, self._dataset, self._measured, **self._given)
        low, likely, high = (
            s * share for s, share in zip(total(parts.values()), kept, strict=True)
        )
        replays = arm in config.replay_arms() and config.needs_seed()
        phases = {phase: seconds[1] * kept[1] for phase, seconds in parts.items()}
        return Job(arm, (low, likely, high), replays, phases)

    def of_search(self, points: Sequence[Mapping[str, Any]], times: int) -> list[Job]:
        """What the search trains, in the order in which it is handed out.

        Args:
            points: Some of its points, or all.
            times: How many there are in all.
        """
        ladder = self._plan.config.tune.ladder
        if ladder is None:
            return self._of_arms(points, times)
        return self._of_rungs(points, ladder.rules().sizes(times))

    def _of_arms(self, points: Sequence[Mapping[str, Any]], times: int) -> list[Job]:
        """Trials of arms side by side, point by point."""
        replays = self._plan.config.replay_arms()
        arms = self._plan.config.search_arms()
        trainings = Trainings(self._plan)
        each = [
            [
                self.job(trial, self._kept if trial["arm"] in replays else (1.0, 1.0, 1.0))
                for trial in trials
                if len(points) < times or trainings.is_new(trial)
            ]
            for trials in self._trials(points, arms)
        ]
        return _spread(each, times)

    def _of_rungs(self, points: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> list[Job]:
        """Trials of so many points on each rung, rung by rung."""
        jobs = []
        for arm, size in zip(self._plan.config.search_arms(), sizes, strict=True):
            each = [[self.job(trial) for trial in own] for own in self._trials(points, [arm])]
            jobs += _spread(each, size)
        return jobs

    def of_rivals(self, points: Sequence[Mapping[str, Any]], times: int) -> list[Job]:
        """What each rival trains of its points; as ``of_search``."""
        jobs = []
        for rival in self._plan.config.rival_searches():
            scheduler = as_rival(self._plan, rival).scheduler()
            kept = kept_epochs(scheduler, self._plan.config.train.get("max_epochs"))
            each = [
                [self.job(trial, kept) for trial in own] for own in self._trials(points, [FULL_ARM])
            ]
            jobs += _spread(each, times)
        return jobs

    def promoted(self, points: Sequence[Mapping[str, Any]]) -> list[Job]:
        """Full trainings of the best, unless the search has trained them itself."""
        config = self._plan.config
        if not config.promote:
            return []
        own, full = (
            next(self._trials(points[-1:], arms)) for arms in (config.search_arms(), [FULL_ARM])
        )
        left, _ = without_repeats(full[:1], {str(i): t for i, t in enumerate(own)}, self._plan)
        return [self.job(trial) for trial in left] * config.promote

    def _trials(
        self, points: Sequence[Mapping[str, Any]], arms: Sequence[str]
    ) -> Iterator[list[dict[str, Any]]]:
        """Configurations of each point's trials."""
        config, base = self._plan.config, self._plan.base_config()
        place = config.history or self._plan.location("", "")
        for point in points:
            yield [
                config.arm(arm).on(merged(base, point) | {"seed": seed, "history": place})
                for seed in config.tune.seeds
                for arm in arms
            ]


def _spread(each: Sequence[list[Job]], times: int) -> list[Job]:
    """Jobs of so many points, which those of some points stand for in equal parts."""
    return [job for i in range(times) for job in each[i * len(each) // times]]
