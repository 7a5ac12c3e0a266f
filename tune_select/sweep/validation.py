"""What is wrong with a sweep, found before anything of it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tune_select.arms import EpochPlan, Selection, arm_of
from tune_select.history import (
    HistoryError,
    HistoryIdentity,
    HistoryMismatchError,
    SubsetHistory,
)
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.ladder import check_rungs_hold_classes
from tune_select.sweep.outlook.forecast import Forecast, forecast
from tune_select.sweep.plan import Plan, check_trials, examples, make_plan
from tune_select.sweep.preflight import Rehearsal, check_resources, check_storage, rehearse


def validate_sweep(config: SweepConfig, *, data: bool = True) -> Plan:
    """Check a sweep, its data and its given history without running anything.

    Args:
        config: As written.
        data: Whether the files that it reads are here and are looked at.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    if data:
        return preflight_sweep(config).plan
    plan = make_plan(config)
    check_trials(plan, files=False)
    return plan


def forecast_sweep(config: SweepConfig) -> tuple[Plan, Forecast | None]:
    """Check a sweep and measure what it will cost on this machine.

    Returns:
        The plan, and ``None`` in the forecast's place where the trainable offers none.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    checked = preflight_sweep(config)
    return checked.plan, forecast(checked.plan, checked.dataset)


@dataclass(frozen=True)
class Checked:
    """A sweep that can run here.

    Attributes:
        plan: What it will do.
        dataset: Its data set, if the trainable shares one.
        rehearsal: What its points name, tried.
    """

    plan: Plan
    dataset: Any
    rehearsal: Rehearsal


def preflight_sweep(config: SweepConfig) -> Checked:
    """Check a sweep as far as it can be without training: files, data, history, models, resources.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    plan = make_plan(config)
    check_resources(config)
    check_storage(config)
    dataset = load_and_check(plan)
    return Checked(plan, dataset, rehearse(plan, dataset))


def checked_with_data(config: SweepConfig) -> tuple[Plan, Any]:
    """The plan of a sweep that can run here, and its data set.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    checked = preflight_sweep(config)
    return checked.plan, checked.dataset


def load_and_check(plan: Plan) -> Any:
    """The data set, once for all trials, if the trainable shares one; every arm checked on it.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    load = getattr(plan.trainable, "load_dataset", None)
    try:
        check_trials(plan)
        dataset = None if load is None else load(plan.base_config())
        check_trials(plan, dataset)
        check_rungs_hold_classes(plan, dataset)
    except (ValueError, OSError) as error:
        raise SweepError(str(error)) from None
    check_history(plan, dataset)
    return dataset


def check_history(plan: Plan, dataset: Any) -> None:
    """Refuse a given history that replays cannot train on, before any trial starts.

    Args:
        plan: Of the sweep.
        dataset: What the trainable's ``load_dataset`` returned, or ``None``.

    Raises:
        SweepError: It is damaged, unfinished, of other data, or lacks fractions or epochs.
    """
    if plan.config.history is None:
        return
    try:
        history = SubsetHistory.load(plan.config.history)
        if not history.complete:
            raise SweepError(
                f"history: {plan.config.history} ends after {len(history.intervals)} intervals; "
                "finish its sweep with --resume, or leave history out so that a seed trial runs"
            )
        own = getattr(dataset, "identity", None)
        if own is not None:
            history.identity.check_fits(own)
        _check_replays(plan, history.identity)
    except HistoryError as error:
        raise SweepError(f"history: {error}") from None


def _check_replays(plan: Plan, identity: HistoryIdentity) -> None:
    """Refuse a history that does not fit what replays it, all arms at once."""
    replays = [(name, arm_of(config)) for name, config in examples(plan)]
    replays = [(name, arm) for name, arm in replays if arm.kind == "cached"]
    lacking: dict[float, list[str]] = {}
    for name, arm in replays:
        if arm.fraction not in identity.fractions:
            names = lacking.setdefault(arm.fraction, [])
            names += [name] if name not in names else []
    if lacking:
        wanted = ", ".join(f"{f:g} (arm {', '.join(names)})" for f, names in lacking.items())
        there = ", ".join(f"{fraction:g}" for fraction in identity.fractions)
        raise SweepError(
            f"history: {plan.config.history} has subsets at fraction {there} only, but replays "
            f"train on {wanted}: choose among its fractions, or leave history out so that a seed "
            "trial publishes all that are needed"
        )
    for name, arm in replays:
        if arm.plan is not None:
            _check_schedule(name, arm.selection, arm.plan, identity)


def _check_schedule(
    arm: str, selection: Selection, plan: EpochPlan, identity: HistoryIdentity
) -> None:
    try:
        identity.check_fits(
            identity.dataset,
            max_epochs=plan.epochs,
            select_every=selection.select_every,
            warm_start_epochs=plan.warm_start_epochs,
            align=selection.align,
        )
    except HistoryMismatchError as error:
        raise SweepError(f"history: arm {arm}: {error}") from None
