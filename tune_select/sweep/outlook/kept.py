"""How much of its training a scheduler leaves a trial."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, TrialScheduler

from tune_select.sweep.outlook.time_left import Range
from tune_select.sweep.pace.evaluation import milestones


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
