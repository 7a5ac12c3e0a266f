"""What a sweep will cost, before it starts: slot-seconds, wall-clock, device-hours and price."""

from __future__ import annotations

import heapq
import inspect
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, TrialScheduler
from ray.tune.search.variant_generator import generate_variants

from tune_select.arms import FULL_ARM, SEED_ARM
from tune_select.cluster import is_remote
from tune_select.search.space import merged
from tune_select.sweep.cells import without_repeats
from tune_select.sweep.ladder import as_rival
from tune_select.sweep.outlook.neighbours import Neighbours
from tune_select.sweep.outlook.planned import Trainings
from tune_select.sweep.outlook.time_left import Range
from tune_select.sweep.pace.evaluation import milestones
from tune_select.sweep.pace.reporting import reporting_of
from tune_select.sweep.plan import Plan

_MOST_POINTS = 16  # of a random space; more are extrapolated


@dataclass(frozen=True)
class Job:
    """A trial that is planned.

    Attributes:
        arm: Its arm.
        seconds: The seconds of its slot.
        replays: Whether it starts once the seed trials have ended.
        phases: Its likely seconds by phase.
    """

    arm: str
    seconds: Range
    replays: bool = False
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Forecast:
    """What a sweep will cost if it goes as measured.

    Attributes:
        jobs: Its trials in the order in which they are handed out.
        follow_up: Trials that run after the search: of rivals, promoted ones.
        slots: Trials at a time.
        device: ``GPU`` or ``CPU``, whichever a trial's price goes by.
        devices: How many of them each trial has.
        phases: Likely seconds by phase over all trials.
        measured_s: How long measuring took.
        beside: Processes that measured beside the one that was timed, as other slots' trials will.
        process_s: Seconds until a new process can train; each slot starts one.
        elsewhere: The cluster that will run it, where that is not this machine.
    """

    jobs: tuple[Job, ...]
    follow_up: tuple[Job, ...]
    slots: int
    device: str
    devices: float
    phases: Mapping[str, float]
    measured_s: float
    beside: int = 0
    process_s: float = 0.0
    elsewhere: str | None = None

    @property
    def slot_seconds(self) -> Range:
        """Of all trials together."""
        return _total([job.seconds for job in (*self.jobs, *self.follow_up)])

    @property
    def wall_seconds(self) -> Range:
        """From the first process's start to the last trial's end, slots filled as they get free."""
        low, likely, high = (
            self.process_s
            + makespan(self.jobs, self.slots, i)
            + makespan(self.follow_up, self.slots, i)
            for i in range(3)
        )
        return low, likely, high

    @property
    def device_hours(self) -> Range:
        """Slot-seconds times each trial's devices."""
        low, likely, high = (s * self.devices / 3600 for s in self.slot_seconds)
        return low, likely, high


def forecast(plan: Plan, dataset: Any = None) -> Forecast | None:
    """Measure a few steps for each model and batch size, and count what the sweep will do.

    Args:
        plan: The plan of the sweep.
        dataset: What the trainable's ``load_dataset`` returned.

    Returns:
        ``None`` for a trainable that offers no ``forecast``.
    """
    measure = getattr(plan.trainable, "forecast", None)
    if measure is None:
        return None
    start_s = time.perf_counter()
    slots, threads = planned_slots(plan), max(1, int(plan.config.resources.get("cpu", 1)))
    with Neighbours(_sharing(plan, slots), plan.trainable, dataset, threads) as neighbours:
        prices = _Prices(plan, dataset, threads, neighbours)
        jobs = [prices.job(seed) for seed in plan.seeds_to_run("", "")]
        points, times = sample_points(plan)
        found = prices.of_ladder(points, times) if _climbs(plan) else prices.of_arms(points, times)
        later = [*_later(plan, found), *prices.promoted(points), *prices.of_rivals(points, times)]
        beside = neighbours.beside
    resources = plan.config.resources
    phases: Counter[str] = Counter()
    for job in (*jobs, *found, *later):
        phases.update(job.phases)
    return Forecast(
        (*jobs, *found),
        tuple(later),
        slots,
        "GPU" if resources.get("gpu", 0) > 0 else "CPU",
        float(resources.get("gpu", 0) or resources.get("cpu", 1)),
        phases,
        time.perf_counter() - start_s,
        beside,
        neighbours.process_s,
        plan.config.cluster.address if is_remote(plan.config.cluster.address) else None,
    )


def _sharing(plan: Plan, slots: int) -> int:
    """How many trials will share this machine with another: its cores, and on a GPU that GPU."""
    resources = plan.config.resources
    cores = int((os.cpu_count() or 1) / max(1.0, resources.get("cpu", 1)))
    here = min(slots, cores)
    if resources.get("gpu"):
        here = min(here, int(1 / resources["gpu"]))
    return max(0, here - 1)


class _Prices:
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
            s * share for s, share in zip(_total(list(parts.values())), kept, strict=True)
        )
        replays = arm in config.replay_arms() and config.needs_seed()
        phases = {phase: seconds[1] * kept[1] for phase, seconds in parts.items()}
        return Job(arm, (low, likely, high), replays, phases)

    def of_arms(self, points: Sequence[Mapping[str, Any]], times: int) -> list[Job]:
        """The search's trials of arms side by side, point by point.

        Args:
            points: Some of its points, or all.
            times: How many there are in all.
        """
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
        return [job for own in _spread(each, times) for job in own]

    def of_ladder(self, points: Sequence[Mapping[str, Any]], times: int) -> list[Job]:
        """What each rung trains, rung by rung; as ``of_arms``."""
        ladder = self._plan.config.tune.ladder
        assert ladder is not None
        arms = self._plan.config.search_arms()
        jobs = []
        for arm, size in zip(arms, ladder.rules().sizes(times), strict=True):
            each = [[self.job(trial) for trial in own] for own in self._trials(points, [arm])]
            jobs += [job for own in _spread(each, size) for job in own]
        return jobs

    def of_rivals(self, points: Sequence[Mapping[str, Any]], times: int) -> list[Job]:
        """What each rival trains of its points; as ``of_arms``."""
        jobs = []
        for rival in self._plan.config.rival_searches():
            scheduler = as_rival(self._plan, rival).scheduler()
            kept = kept_epochs(scheduler, self._plan.config.train.get("max_epochs"))
            each = [
                [self.job(trial, kept) for trial in own] for own in self._trials(points, [FULL_ARM])
            ]
            jobs += [job for own in _spread(each, times) for job in own]
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


def _climbs(plan: Plan) -> bool:
    return plan.config.tune.ladder is not None


def _spread(each: Sequence[list[Job]], times: int) -> list[list[Job]]:
    """Jobs of so many points, which those of some points stand for in equal parts."""
    return [each[i * len(each) // times] for i in range(times)]


def configurations(plan: Plan) -> int:
    """How many configurations the search would try if nothing ends it."""
    if plan.continued is not None:
        return sample_points(plan)[1]
    points = plan.num_samples
    if plan.space.params and plan.config.tune.searcher in ("grid", "random"):
        points *= len(list(generate_variants(plan.space.params, random_state=0)))
    return points


def _later(plan: Plan, jobs: Sequence[Job]) -> list[Job]:
    """Trials that the search's results will name: matched seconds, and composed histories."""
    later = []
    matched = {arm.name: arm.match_seconds_of for arm in plan.config.named_arms()}
    for arm in plan.config.arm_names():
        source = matched.get(arm) or (plan.config.search_arms() or [SEED_ARM])[0]
        if arm not in plan.config.search_arms():
            later += [replace(job, arm=arm, replays=False) for job in jobs if job.arm == source]
    return later


def sample_points(plan: Plan) -> tuple[list[dict[str, Any]], int]:
    """Configurations of the space, and how many the sweep will try in all.

    A grid or a list is given whole; of other spaces so many are drawn that their mean holds.
    """
    space, samples = plan.space, plan.config.tune.num_samples
    if plan.continued is not None:
        samples = plan.continued.earlier.more
        if space.listed():
            new = plan.continued.new_among(space.listed(), plan.base_config())
            return new, len(new)
    if space.points:
        return list(space.points) * samples, len(space.points) * samples
    if space.define_by_run is not None:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        drawn = []
        for _ in range(min(samples, _MOST_POINTS)):
            trial = study.ask()
            constants = space.define_by_run(trial) or {}
            drawn.append({**trial.params, **constants})
        return drawn, samples
    cells = [dict(point) for _, point in generate_variants(space.params, random_state=0)]
    if plan.continued is not None and len(cells) > 1:
        return cells[:samples], samples
    if len(cells) > 1 or plan.config.tune.searcher == "grid":
        return cells * samples, len(cells) * samples
    drawn = cells + [
        dict(point)
        for seed in range(1, min(samples, _MOST_POINTS))
        for _, point in generate_variants(space.params, random_state=seed)
    ]
    return drawn, samples


def kept_epochs(scheduler: TrialScheduler, max_epochs: Any) -> Range:
    """Which share of its epochs a replay trains under a scheduler: least, likely, most.

    Successive halving lets one in ``reduction_factor`` pass each milestone; of other schedulers it
    is not known beforehand whether they stop any.
    """
    rungs = milestones(scheduler, max_epochs if isinstance(max_epochs, int) else None)
    factor = None
    if isinstance(scheduler, AsyncHyperBandScheduler):
        factor = scheduler._reduction_factor
    elif isinstance(scheduler, HyperBandScheduler):
        factor = scheduler._eta
    if factor is None or not rungs or not isinstance(max_epochs, int):
        return 1.0, 1.0, 1.0
    ends = [*(rung for rung in rungs if rung < max_epochs), max_epochs]
    likely, alive, before = 0.0, 1.0, 0
    for end in ends:
        likely += alive * (end - before)
        alive, before = alive / factor, end
    return ends[0] / max_epochs, likely / max_epochs, 1.0


def makespan(jobs: Sequence[Job], slots: int, which: int = 1) -> float:
    """Seconds until the last job has ended, each given to the slot that is free first.

    Replays start once all seed trials have ended; what need not wait goes before them.

    Args:
        jobs: The jobs in the order in which they are handed out.
        slots: The number of slots, at least 1.
        which: Which of each job's (least, likely, most).
    """
    free = [0.0] * slots
    seeds_end = 0.0
    for job in [j for j in jobs if j.arm == SEED_ARM]:
        end = heapq.heappop(free) + job.seconds[which]
        heapq.heappush(free, end)
        seeds_end = max(seeds_end, end)
    waiting = [job for job in jobs if job.replays]
    others = [job for job in jobs if not job.replays and job.arm != SEED_ARM]
    while waiting or others:
        at = heapq.heappop(free)
        if waiting and (at >= seeds_end or not others):
            start, job = max(at, seeds_end), waiting.pop(0)
        else:
            start, job = at, others.pop(0)
        heapq.heappush(free, start + job.seconds[which])
    return max(free)


def planned_slots(plan: Plan) -> int:
    """Trials that fit beside each other on the sweep's own Ray; a cluster's size is not known."""
    cluster, resources = plan.config.cluster, plan.config.resources
    cpus = cluster.num_cpus or os.cpu_count() or 1
    fitting = [cpus / resources["cpu"]] if resources.get("cpu") else [float(cpus)]
    if resources.get("gpu") and cluster.num_gpus:
        fitting.append(cluster.num_gpus / resources["gpu"])
    elif resources.get("gpu"):
        fitting.append(max(1.0, 1 / resources["gpu"]))
    most = plan.config.tune.max_concurrent or math.inf
    return max(1, int(min(*fitting, most)))


def _total(ranges: Sequence[Range]) -> Range:
    low, likely, high = (sum(values[i] for values in ranges) for i in range(3))
    return low, likely, high
