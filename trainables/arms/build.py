"""From an arm's name to the source of its examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.arms.minibatch_stage import MiniBatchSelection
from trainables.arms.plan import ArmPlan, plan_arm
from trainables.arms.replaying import Replaying
from trainables.arms.selecting import Selecting
from trainables.arms.stage_settings import parse_stage
from trainables.loop.clock import PhaseClock
from trainables.loop.forgetting import ForgettingRecorder
from trainables.loop.mini_batches import BatchStage
from trainables.loop.optim import make_optimizer, make_schedule
from trainables.loop.sources import Full, SubsetSource, WarmStart
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from tune_select.history import DatasetIdentity, HistoryAccess, HistoryIdentity, open_history
from tune_select.history.location import history_location
from tune_select.selection import Selector, replay_named, selector_named, trials_own


def make_loop(
    task: Task,
    settings: TrialSettings,
    plan: ArmPlan,
    clock: PhaseClock,
    config: Mapping[str, Any],
) -> TrainingLoop:
    """The loop of a trial, with what its arm puts into it; arguments as in ``make_source``."""
    recorded = settings.forgetting_record
    return TrainingLoop(
        task,
        make_source(task, settings, plan, clock, config),
        make_optimizer(task, settings),
        make_schedule(settings, plan.epochs),
        settings,
        epochs=plan.epochs,
        time_budget_s=plan.time_budget_s,
        clock=clock,
        stage=make_stage(task, settings, plan, clock),
        stage_from_epoch=plan.warm_start_epochs,
        forgetting=None if recorded is None else ForgettingRecorder(task, recorded),
    )


def make_source(
    task: Task,
    settings: TrialSettings,
    plan: ArmPlan,
    clock: PhaseClock,
    config: Mapping[str, Any],
) -> SubsetSource:
    """The source of the arm's examples.

    Args:
        task: The trial's task.
        settings: The trial's settings.
        plan: What its arm stands for.
        clock: Books selection and waiting.
        config: The configuration as given, recorded in a seed's manifest.

    Raises:
        ValueError: The arm needs a history that is not named, or a selector that is not there.
    """
    if plan.kind in ("full", "mini_batch"):
        return Full()
    source: SubsetSource
    if plan.kind == "cached":
        source = _replay(task, settings, plan, clock, config)
    else:
        selector = _selector(plan, settings)
        if plan.kind == "seed":
            identity = _identity(task, plan, selector, config)
            history = _history(settings, config)
            source = Selecting(selector, plan, clock, settings.seed, history, identity)
        else:
            source = Selecting(selector, plan, clock, settings.seed)
    return WarmStart(source, plan.warm_start_epochs) if plan.warm_start_epochs else source


def selection_alone(
    task: Task, settings: TrialSettings, plan: ArmPlan, clock: PhaseClock
) -> SubsetSource:
    """The selection of a seed or of an arm that selects, which publishes nothing.

    Args:
        task: The trial's task.
        settings: The trial's settings.
        plan: What its arm stands for.
        clock: Books the selection.
    """
    selector = _selector(plan, settings)
    return Selecting(selector, plan, clock, settings.seed)


def check_arm(
    settings: TrialSettings, config: Mapping[str, Any], dataset: DatasetIdentity | None
) -> None:
    """Find what is wrong with an arm before its trial starts.

    Args:
        settings: The trial's settings.
        config: The configuration as given.
        dataset: Identity of the training split, if known.

    Raises:
        ValueError: The selector, its settings or the history do not do.
    """
    plan = plan_arm(settings)
    if plan.kind in ("seed", "cached"):
        _history(settings, config)
    if plan.kind == "cached":
        replay_named(plan.selector, **plan.selector_settings)
    if plan.kind in ("seed", "selector"):
        _selector(plan, settings)
    if plan.kind == "mini_batch":
        parse_stage(plan)
    least = min(plan.selection.fractions)
    if dataset is not None and plan.kind != "full" and least * dataset.size < 0.5:
        raise ValueError(
            f"selection.fraction={least} of {dataset.size} training examples "
            f"({dataset.name}) is no example at all: raise it to at least {1 / dataset.size:.2g}"
        )


def make_stage(
    task: Task, settings: TrialSettings, plan: ArmPlan, clock: PhaseClock
) -> BatchStage | None:
    """The mini-batch selection of the arm, or ``None``.

    Args:
        task: The trial's task.
        settings: The trial's settings.
        plan: What its arm stands for.
        clock: Books the selection's seconds.
    """
    if plan.kind != "mini_batch":
        return None
    selector, stage = parse_stage(plan)
    return MiniBatchSelection(
        selector, stage, task, clock, batch_size=settings.batch_size, max_epochs=plan.epochs
    )


def needs_gradients(settings: TrialSettings) -> bool:
    """Whether the trial's arm matches last-layer gradients, so that its model needs a head."""
    plan = plan_arm(settings)
    if plan.kind in ("seed", "selector"):
        return _selector(plan, settings).needs_gradients
    return plan.kind == "mini_batch" and parse_stage(plan)[0].needs_gradients


def _selector(plan: ArmPlan, settings: TrialSettings) -> Selector:
    own = {key: getattr(settings, key) for key in trials_own(plan.selector)}
    return selector_named(plan.selector, **{**own, **plan.selector_settings})


def _replay(
    task: Task,
    settings: TrialSettings,
    plan: ArmPlan,
    clock: PhaseClock,
    config: Mapping[str, Any],
) -> SubsetSource:
    selection = plan.selection

    def check(identity: HistoryIdentity) -> None:
        identity.check_fits(
            task.dataset,
            max_epochs=plan.epochs,
            select_every=selection.select_every,
            fraction=selection.fraction,
            warm_start_epochs=plan.warm_start_epochs,
            align=selection.align,
        )

    transform = replay_named(plan.selector, **plan.selector_settings)
    history = _history(settings, config)
    return Replaying(history, plan, clock, settings.wait_s, check, transform, settings.seed)


def _identity(
    task: Task, plan: ArmPlan, selector: Selector, config: Mapping[str, Any]
) -> HistoryIdentity:
    return HistoryIdentity(
        dataset=task.dataset,
        fraction=plan.selection.fraction,
        select_every=plan.selection.select_every,
        max_epochs=plan.epochs,
        algorithm=plan.selector,
        settings=selector.settings(),
        seed_config=dict(config),
        warm_start_epochs=plan.warm_start_epochs,
        rungs=tuple(f for f in plan.selection.fractions if f != plan.selection.fraction),
    )


def _history(settings: TrialSettings, config: Mapping[str, Any]) -> HistoryAccess:
    location = history_location(config)
    if location is None:
        raise ValueError(
            f"arm {settings.arm!r} needs history: name the folder (or store) that the seed "
            "publishes to and the replays read"
        )
    return open_history(location)
