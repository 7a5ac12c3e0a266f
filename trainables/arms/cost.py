"""What a trial costs, measured once for all trials whose steps are alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from trainables.arms.build import selection_alone
from trainables.arms.forecast import Seconds, measure_units, seconds_of, split_sizes, work_of
from trainables.arms.plan import ArmPlan, plan_arm
from trainables.loop.clock import PhaseClock
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from tune_select.arms import RESOLVED_ARM

_CHEAP = frozenset({"learning_rate", "weight_decay", "momentum", "seed", "history", "max_epochs"})
_CHEAP |= {"evaluation", "eval_every", "schedule", "arms", "arm", "selection", "configuration"}
_CHEAP |= {RESOLVED_ARM, "milestones", "gamma", "nesterov", "time_budget_s", "phase"}
"""Keys that change what a trial does, but not what a step of it takes."""


def cost_of(
    config: Mapping[str, Any],
    settings: TrialSettings,
    build: Callable[[Mapping[str, Any]], tuple[Task, TrainingLoop]],
    measured: dict[str, Any],
) -> dict[str, Seconds]:
    """Seconds of a trial by phase, see ``seconds_of``.

    Args:
        config: Its configuration.
        settings: The same, checked.
        build: Makes a trial of a configuration: its task, and the loop around it.
        measured: Keeps what was measured, for further calls.
    """
    plan = plan_arm(settings)
    own = {key: value for key, value in config.items() if key not in _CHEAP}
    if plan.kind == "mini_batch":  # its steps are its own
        own |= {"arm": plan.selector, "selection": plan.selector_settings}
    key = json.dumps(own, sort_keys=True, default=str)
    if key not in measured:
        measured[key] = _practised(config, settings, plan, build)
    task, units = measured[key]
    selection: Seconds = (0.0, 0.0, 0.0)
    if plan.kind in ("seed", "selector"):
        sizes = plan.selection.fractions
        chosen = json.dumps([key, plan.selector, plan.selector_settings, sizes])
        if chosen not in measured:
            clock = PhaseClock(task.device)
            selection_alone(task, settings, plan, clock).examples(plan.warm_start_epochs, task)
            measured[chosen] = (clock.seconds()["select_s"],) * 3
        selection = measured[chosen]
    return seconds_of(
        work_of(settings, plan, task.train_size),
        units,
        selection,
        settings,
        split_sizes(task, settings.evaluation.validation_part),
    )


def _practised(
    config: Mapping[str, Any],
    settings: TrialSettings,
    plan: ArmPlan,
    build: Callable[[Mapping[str, Any]], tuple[Task, TrainingLoop]],
) -> tuple[Task, Any]:
    """A task, and what its steps take."""
    # Full training's loop, unless steps are the arm's own: it needs no history.
    arm: dict[str, Any] = {"arm": "full", "forgetting_record": None}
    arm[RESOLVED_ARM] = {"kind": "full", "selector": "full"}
    alone = {**config, **({} if plan.kind == "mini_batch" else arm), "energy": False}
    build(alone)  # the first also loads what is loaded once
    start_s = time.perf_counter()
    task, loop = build(alone)
    startup_s = time.perf_counter() - start_s
    return task, measure_units(task, loop, settings.batch_size, startup_s)
