"""Trials as jobs for slots: what each takes, and when the last one ends."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tune_select.arms import SEED_ARM
from tune_select.sweep.outlook.time_left import Range


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


def total(ranges: Iterable[Range]) -> Range:
    """The least, the likely and the most of all together."""
    ranges = list(ranges)
    low, likely, high = (sum(values[i] for values in ranges) for i in range(3))
    return low, likely, high
