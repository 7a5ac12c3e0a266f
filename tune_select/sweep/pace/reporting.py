"""When a sweep's trials report to the driver and are saved."""

from __future__ import annotations

import inspect
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tune_select.reporting import Reporting
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.sweep.config import SweepConfig
from tune_select.sweep.pace.evaluation import milestones


def takes_reporting(trainable: Any) -> bool:
    """Whether a trainable can be told when to report: a class whose ``setup`` takes it."""
    if not isinstance(trainable, type):
        return False
    setup: Any = getattr(trainable, "setup", None)
    return "reporting" in inspect.signature(setup).parameters


def reporting_of(config: SweepConfig, scheduler: TrialScheduler | None) -> Reporting:
    """When trials report: a scheduler that may decide after any epoch hears of each.

    Args:
        config: The sweep.
        scheduler: What decides over the trials, as new; FIFO by default.
    """
    base = scheduler.base if isinstance(scheduler, SeedReplayScheduler) else scheduler
    epochs = config.train.get("max_epochs")
    decides = milestones(
        base or FIFOScheduler(),  # type: ignore[no-untyped-call]
        epochs if isinstance(epochs, int) else None,
    )
    return Reporting(
        every_s=0.0 if decides is None else config.tune.report_every_s,
        epochs=frozenset(decides or ()),
        checkpoint_every=config.checkpoint.every,
        checkpoint_share=config.checkpoint.planned_share,
    )
