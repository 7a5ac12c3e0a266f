"""How long a sweep will still take, from the trials that have ended."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

Range = tuple[float, float, float]
"""Least, likely and most, seconds."""


def time_left(
    ended: Mapping[str, Sequence[float]],
    left: Mapping[str, int],
    running: Mapping[str, Sequence[float]],
    slots: int,
    projected: Mapping[str, Sequence[float]] | None = None,
) -> Range | None:
    """Seconds until the last trial ends.

    Each arm's further trials are taken to last as its ended ones did, those that a scheduler
    stopped at an early rung included: likely their mean, and within the two standard errors of a
    mean over that many trials and of those to come. An arm of which none has ended yet is taken to
    last as its running trials are projected to; where none of those has trained an epoch, as any of
    the others, so that its range spans theirs.

    Args:
        ended: Seconds of the ended trials of each arm.
        left: How many trials of each arm have not started.
        running: Seconds so far of each arm's running trials.
        slots: Trials at a time.
        projected: What running trials of each arm will have taken if they train all their epochs
            as the first ones.

    Returns:
        ``None`` before any trial has ended, or could be projected.
    """
    known = {arm: list(seconds) for arm, seconds in (projected or {}).items() if seconds}
    known |= {arm: list(seconds) for arm, seconds in ended.items() if seconds}
    if not known:
        return None
    means = [statistics.fmean(seconds) for seconds in known.values()]
    least = likely = most = variance = 0.0
    for arm in {*left, *running}:
        so_far = list(running.get(arm, ()))
        trials = left.get(arm, 0) + len(so_far)
        if arm not in known:
            each = min(means), statistics.fmean(means), max(means)
            # A trial that has outlasted another arm's says nothing of how long it has to go.
            low, likely_s, high = (
                left.get(arm, 0) * one + sum(max(0.0, one - s) for s in so_far) for one in each
            )
            least, likely, most = least + low, likely + likely_s, most + high
            continue
        seconds = known[arm]
        mean = statistics.fmean(seconds)
        # A running trial may already have lasted longer than the mean.
        expected = left.get(arm, 0) * mean + sum(max(0.0, mean - s) for s in so_far)
        spread = statistics.stdev(seconds) if len(seconds) > 1 else mean / 2
        variance += spread**2 * trials * (1 + trials / len(seconds))
        least, likely, most = least + expected, likely + expected, most + expected
    margin = 2 * math.sqrt(variance)
    low, middle, high = (max(0.0, s) / slots for s in (least - margin, likely, most + margin))
    return low, middle, high


def duration(seconds: float) -> str:
    """Seconds for people: ``48 s``, ``12 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
