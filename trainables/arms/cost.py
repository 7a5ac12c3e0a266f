"""What a trial costs, measured once for all trials whose steps are alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from trainables.arms.build import selection_alone
from trainables.arms.forecast import SelectionCost, seconds_of, split_sizes, work_of
from trainables.arms.plan import ArmPlan, plan_arm
from trainables.arms.probe import Seconds, Units, measure_units
from trainables.loop.clock import PhaseClock
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from tune_select.arms import RESOLVED_ARM
from tune_select.reporting import Reporting

_CHEAP = frozenset({"learning_rate", "weight_decay", "momentum", "seed", "history", "max_epochs"})
_CHEAP |= {"evaluation", "eval_every", "schedule", "arms", "arm", "selection", "configuration"}
_CHEAP |= {RESOLVED_ARM, "milestones", "gamma", "nesterov", "time_budget_s", "phase"}
"""Keys that change what a trial does, but not what a step of it takes."""


Beside = Callable[[Mapping[str, Any]], AbstractContextManager[object]]
"""Keeps the machine as busy meanwhile as it will be, with trials of a configuration."""


@dataclass(frozen=True)
class Bench:
    """Where trials are measured.

    Attributes:
        build: Makes a trial of a configuration: its task, and the loop around it.
        measured: Keeps what was measured, for further calls.
        beside: What runs beside it.
    """

    build: Callable[[Mapping[str, Any]], tuple[Task, TrainingLoop]]
    measured: dict[str, Any]
    beside: Beside


def cost_of(
    config: Mapping[str, Any], settings: TrialSettings, bench: Bench, reporting: Reporting | None
) -> dict[str, Seconds]:
    """Seconds of a trial by phase, see ``seconds_of``.

    Args:
        config: Its configuration.
        settings: The same, checked.
        bench: Where it is measured.
        reporting: When it will report and be saved.
    """
    plan, measured = plan_arm(settings), bench.measured
    own = {key: value for key, value in config.items() if key not in _CHEAP}
    if plan.kind == "mini_batch":  # its steps are its own
        own |= {"arm": plan.selector, "selection": plan.selector_settings}
    key = json.dumps(own, sort_keys=True, default=str)
    if key not in measured:
        measured[key] = _practised(config, settings, plan, bench)
    task, units = measured[key]
    selection = SelectionCost()
    if plan.kind in ("seed", "selector"):
        sizes = plan.selection.fractions
        chosen = json.dumps([key, plan.selector, plan.selector_settings, sizes])
        if chosen not in measured:
            with bench.beside(config):
                measured[chosen] = _selected(task, settings, plan)
        selection = measured[chosen]
    splits = split_sizes(task, settings.evaluation.validation_part)
    work = work_of(settings, plan, task.train_size)
    return seconds_of(work, units, selection, settings, splits, reporting)


def _practised(
    config: Mapping[str, Any], settings: TrialSettings, plan: ArmPlan, bench: Bench
) -> tuple[Task, Units]:
    """A task, and what its steps take."""
    # Full training's loop, unless steps are the arm's own: it needs no history.
    arm: dict[str, Any] = {"arm": "full", "forgetting_record": None}
    arm[RESOLVED_ARM] = {"kind": "full", "selector": "full"}
    alone = {**config, **({} if plan.kind == "mini_batch" else arm), "energy": False}
    with bench.beside(alone):
        bench.build(alone)  # the first also loads what is loaded once
        start_s = time.perf_counter()
        task, loop = bench.build(alone)
        startup_s = time.perf_counter() - start_s
        return task, measure_units(task, loop, settings.batch_size, startup_s)


def _selected(task: Task, settings: TrialSettings, plan: ArmPlan) -> SelectionCost:
    """What the first selection takes."""
    clock = PhaseClock(task.device)
    selection_alone(task, settings, plan, clock).examples(plan.warm_start_epochs, task)
    seconds = clock.seconds()
    return SelectionCost(seconds["select_s"], seconds["eval_s"])
