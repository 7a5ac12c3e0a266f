"""At which epochs a sweep's trials must look at their validation split."""

from __future__ import annotations

import math
from typing import Any

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    PopulationBasedTraining,
    TrialScheduler,
)

from tune_select.sweep.config import SweepConfig

_MOST_MILESTONES = 10_000
"""Beyond these, every epoch that is evaluated is one: each trial's configuration lists them."""


def evaluation_of(config: SweepConfig, scheduler: TrialScheduler) -> dict[str, Any]:
    """The ``evaluation`` table of the sweep's trials.

    The epochs at which the scheduler decides are looked at in any case, so that a plan that leaves
    others out (``every`` above 1, ``share``) takes nothing from it.

    Args:
        config: The sweep.
        scheduler: Its base scheduler, as new.

    Raises:
        ValueError: The looks are to be a share of the seconds, under a scheduler that decides
            whenever it hears of a trial.
    """
    epochs = config.train.get("max_epochs")
    found = milestones(scheduler, epochs if isinstance(epochs, int) else None)
    if found is None and config.evaluation.share is not None:
        raise ValueError(
            f"evaluation.share is {config.evaluation.share}, but the scheduler "
            f"{config.tune.scheduler!r} decides after every epoch that is evaluated, so that its "
            "decisions would depend on the machine's speed; give evaluation.every"
        )
    table = config.evaluation.model_dump(mode="json")
    if not table["record_losses"]:  # so that older sweeps' trials stay the same
        del table["record_losses"]
    return {**table, "milestones": list(found or ())}


def milestones(scheduler: TrialScheduler, max_epochs: int | None) -> tuple[int, ...] | None:
    """The epochs at which a scheduler decides, as its own code computes them.

    Args:
        scheduler: One that has seen no trial yet.
        max_epochs: The largest number of epochs of the trials, where one number holds for all.

    Returns:
        Ascending epochs; ``None`` for a scheduler that may decide after any.
    """
    if type(scheduler) is FIFOScheduler:
        return ()
    if getattr(scheduler, "_time_attr", None) != "epoch":
        return None
    found: set[float] | None = None
    if isinstance(scheduler, AsyncHyperBandScheduler):
        found = {rung for bracket in scheduler._brackets for rung, _ in bracket._rungs}
        found.add(scheduler._max_t)  # at which it stops what is left
    elif isinstance(scheduler, HyperBandScheduler):
        found = _hyperband(scheduler)
    elif isinstance(scheduler, PopulationBasedTraining) and max_epochs is not None:
        found = _perturbations(scheduler, max_epochs)
    if found is None:
        return None
    epochs = {math.ceil(epoch) for epoch in found}
    return tuple(sorted(e for e in epochs if e >= 1 and (max_epochs is None or e <= max_epochs)))


def _hyperband(scheduler: HyperBandScheduler) -> set[float]:
    """The lengths of all brackets' rounds: r0, r0 eta, ... up to ``max_t``."""
    found: set[float] = set()
    for halvings in range(scheduler._s_max_1):
        length = int(scheduler._get_r0(halvings))  # type: ignore[no-untyped-call]
        for _ in range(halvings + 1):
            found.add(length)
            length = int(min(length * scheduler._eta, scheduler._max_t_attr))
    return found


def _perturbations(scheduler: PopulationBasedTraining, max_epochs: int) -> set[float] | None:
    """The first epochs that are an interval past the last decision, from the burn-in on."""
    interval = scheduler._perturbation_interval
    epoch = math.ceil(max(interval, scheduler._burn_in_period))
    found: set[float] = set()
    while epoch <= max_epochs:
        found.add(epoch)
        if len(found) > _MOST_MILESTONES:
            return None
        epoch = max(epoch + 1, math.ceil(epoch + interval))  # an interval may be next to nothing
    return found
