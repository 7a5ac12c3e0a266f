"""What a sweep will cost, before it starts: slot-seconds, wall-clock, device-hours and price."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tune_select.arms import SEED_ARM
from tune_select.cluster import is_remote
from tune_select.sweep.outlook.jobs import Job, makespan, total
from tune_select.sweep.outlook.neighbours import Neighbours
from tune_select.sweep.outlook.points import sample_points
from tune_select.sweep.outlook.prices import Prices
from tune_select.sweep.outlook.slots import planned_slots, sharing
from tune_select.sweep.outlook.time_left import Range
from tune_select.sweep.plan import Plan


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
        return total(job.seconds for job in (*self.jobs, *self.follow_up))

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
    with Neighbours(sharing(plan, slots), plan.trainable, dataset, threads) as neighbours:
        prices = Prices(plan, dataset, threads, neighbours)
        jobs = [prices.job(seed) for seed in plan.seeds_to_run("", "")]
        points, times = sample_points(plan)
        found = prices.of_search(points, times)
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


def _later(plan: Plan, jobs: Sequence[Job]) -> list[Job]:
    """Trials that the search's results will name: matched seconds, and composed histories."""
    later = []
    matched = {arm.name: arm.match_seconds_of for arm in plan.config.named_arms()}
    for arm in plan.config.arm_names():
        source = matched.get(arm) or (plan.config.search_arms() or [SEED_ARM])[0]
        if arm not in plan.config.search_arms():
            later += [replace(job, arm=arm, replays=False) for job in jobs if job.arm == source]
    return later
