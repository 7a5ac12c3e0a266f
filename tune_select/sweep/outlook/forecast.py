"""What a sweep will cost, before it starts: slot-seconds, wall-clock, device-hours and price."""

from __future__ import annotations

import heapq
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, TrialScheduler
from ray.tune.search.variant_generator import generate_variants

from tune_select.arms import FULL_ARM, SEED_ARM
from tune_select.search.space import merged
from tune_select.sweep.evaluation import milestones
from tune_select.sweep.outlook.time_left import Range, duration
from tune_select.sweep.plan import Plan, make_scheduler

_MOST_POINTS = 16  # of a random space; more are extrapolated


@dataclass(frozen=True)
class Job:
    """A trial that is planned.

    Attributes:
        arm: Its arm.
        seconds: Of its slot.
        replays: Whether it starts once the seed trials have ended.
    """

    arm: str
    seconds: Range
    replays: bool = False


@dataclass(frozen=True)
class Forecast:
    """What a sweep will cost if it goes as measured.

    Attributes:
        jobs: Its trials in the order in which they are handed out.
        follow_up: Trials that run after the search.
        slots: Trials at a time.
        device: ``GPU`` or ``CPU``, whichever a trial's price goes by.
        devices: Of them for each trial.
        phases: Likely seconds by phase over all trials.
        measured_s: How long measuring took.
    """

    jobs: tuple[Job, ...]
    follow_up: tuple[Job, ...]
    slots: int
    device: str
    devices: float
    phases: Mapping[str, float]
    measured_s: float

    @property
    def slot_seconds(self) -> Range:
        """Of all trials together."""
        return _total([job.seconds for job in (*self.jobs, *self.follow_up)])

    @property
    def wall_seconds(self) -> Range:
        """From the first trial's start to the last one's end, slots filled as they come free."""
        low, likely, high = (
            makespan(self.jobs, self.slots, i) + makespan(self.follow_up, self.slots, i)
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
        plan: Of the sweep.
        dataset: What the trainable's ``load_dataset`` returned.

    Returns:
        ``None`` for a trainable that offers no ``forecast``.
    """
    measure = getattr(plan.trainable, "forecast", None)
    if measure is None:
        return None
    config, start_s = plan.config, time.perf_counter()
    threads = max(1, int(config.resources.get("cpu", 1)))
    kept = kept_epochs(make_scheduler(plan), config.train.get("max_epochs"))
    measured: dict[str, Any] = {}
    phases: dict[str, float] = {}

    def job(trial: Mapping[str, Any], *, stops: bool = False) -> Job:
        parts = measure(trial, dataset, measured, threads=threads)
        factors = kept if stops else (1.0, 1.0, 1.0)
        for phase, seconds in parts.items():
            phases[phase] = phases.get(phase, 0.0) + seconds[1] * factors[1]
        total = _total(list(parts.values()))
        low, likely, high = (s * f for s, f in zip(total, factors, strict=True))
        replays = trial["arm"] in config.replay_arms() and config.needs_seed()
        return Job(str(trial["arm"]), (low, likely, high), replays)

    jobs = [job(seed) for seed in plan.seeds_to_run("", "")]
    points, times = sample_points(plan)
    place = config.history or plan.location("", "")
    searched: list[Job] = []
    base = plan.base_config()
    for point in points:
        for seed in config.tune.seeds:
            for arm in config.search_arms():
                trial = merged(base, point) | {"seed": seed, "history": place}
                replay = arm in config.replay_arms()
                searched.append(job(config.arm(arm).on(trial), stops=replay))
    last = merged(base, points[-1]) | {"seed": config.tune.seeds[0], "history": None}
    promoted = [job(config.arm(FULL_ARM).on(last))] if config.promote else []
    promoted *= config.promote
    copies = [searched[int(i * len(points) / times) * _each(plan) + j]
              for i in range(times) for j in range(_each(plan))]  # fmt: skip
    for phase in phases:
        phases[phase] *= times / len(points)
    device = "GPU" if config.resources.get("gpu", 0) > 0 else "CPU"
    devices = config.resources.get("gpu", 0) or config.resources.get("cpu", 1)
    return Forecast(
        (*jobs, *copies),
        (*_later(plan, copies), *promoted),
        planned_slots(plan),
        device,
        float(devices),
        phases,
        time.perf_counter() - start_s,
    )


def planned_points(plan: Plan) -> int:
    """How many configurations the search would try if nothing ends it."""
    if plan.continued is not None:
        return sample_points(plan)[1]
    points = plan.num_samples
    if plan.space.params and plan.config.tune.searcher in ("grid", "random"):
        points *= len(list(generate_variants(plan.space.params, random_state=0)))
    return points


def planned_trials(plan: Plan) -> dict[str, int]:
    """How many trials of each arm the search will hand out; seeds are the arm ``seed``."""
    config, points = plan.config, planned_points(plan)
    counts = dict.fromkeys(config.search_arms(), points * len(config.tune.seeds))
    seeds = plan.seeds_to_run("", "")
    return counts | ({SEED_ARM: len(seeds)} if seeds else {})


def _each(plan: Plan) -> int:
    """Trials of each point."""
    return len(plan.config.tune.seeds) * len(plan.config.search_arms())


def _later(plan: Plan, jobs: Sequence[Job]) -> list[Job]:
    """Trials that the search's results will name: matched seconds, and composed histories."""
    later = []
    matched = {arm.name: arm.match_seconds_of for arm in plan.config.named_arms()}
    for arm in plan.config.arm_names():
        source = matched.get(arm) or (plan.config.search_arms() or [SEED_ARM])[0]
        if arm not in plan.config.search_arms():
            later += [Job(arm, job.seconds) for job in jobs if job.arm == source]
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
        jobs: In the order in which they are handed out.
        slots: At least 1.
        which: Of each job's (least, likely, most).
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


def forecast_text(found: Forecast, price_per_hour: float | None, currency: str = "USD") -> str:
    """The forecast for people.

    Args:
        found: The forecast.
        price_per_hour: Of one GPU, or of one CPU where trials use none; ``None`` leaves it out.
        currency: Shown with the price.
    """
    trials = len(found.jobs) + len(found.follow_up)
    lines = [
        f"Forecast from steps measured on this machine in {found.measured_s:.0f} s "
        f"({trials} trials, {found.slots} at a time):",
        f"  slot-seconds  {_times(found.slot_seconds)}  ({_phases_text(found.phases)})",
        f"  wall-clock    {_times(found.wall_seconds)}, without the start of Ray",
        f"  {found.device}-hours     {_numbers(found.device_hours)}",
    ]
    if price_per_hour is not None:
        low, likely, high = (hours * price_per_hour for hours in found.device_hours)
        said = f"{likely:.2f} {currency} ({low:.2f} to {high:.2f})"
        lines.append(f"  price         {said} at {price_per_hour:.2f} an hour")
    return "\n".join(lines)


def _phases_text(phases: Mapping[str, float]) -> str:
    whole = sum(phases.values()) or 1.0
    return ", ".join(f"{name} {100 * value / whole:.0f}%" for name, value in phases.items())


def _times(seconds: Range) -> str:
    low, likely, high = (duration(value) for value in seconds)
    return f"{likely} ({low} to {high})"


def _numbers(values: Range) -> str:
    low, likely, high = values
    return f"{likely:.3g} ({low:.3g} to {high:.3g})"


def _total(ranges: Sequence[Range]) -> Range:
    low, likely, high = (sum(values[i] for values in ranges) for i in range(3))
    return low, likely, high
