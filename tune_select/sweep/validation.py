"""What is wrong with a sweep, found before anything of it runs."""

from __future__ import annotations

from typing import Any

from tune_select.history import HistoryError, SubsetHistory
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.ladder import check_rungs_hold_classes
from tune_select.sweep.outlook.forecast import Forecast, forecast
from tune_select.sweep.plan import Plan, check_trials, make_plan
from tune_select.sweep.preflight import check_resources, check_storage


def validate_sweep(config: SweepConfig, *, data: bool = True) -> Plan:
    """Check a sweep, its data and its given history without running anything.

    Args:
        config: As written.
        data: Whether the files that it reads are here and are looked at.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    if data:
        return checked_with_data(config)[0]
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
    plan, dataset = checked_with_data(config)
    return plan, forecast(plan, dataset)


def checked_with_data(config: SweepConfig) -> tuple[Plan, Any]:
    """The plan of a sweep that can run here, and its data set.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    plan = make_plan(config)
    check_resources(config)
    check_storage(config)
    return plan, load_and_check(plan)


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
    _check_history(plan, dataset)
    return dataset


def _check_history(plan: Plan, dataset: Any) -> None:
    """Refuse a given history that belongs to other data, before any trial starts."""
    if plan.config.history is None:
        return
    try:
        history = SubsetHistory.load(plan.config.history)
        if not history.complete:
            raise SweepError(
                f"history: {plan.config.history} ends after {len(history.intervals)} intervals; "
                "finish its sweep with --resume, or leave history out so that a seed trial runs"
            )
        if dataset is not None:
            history.identity.check_fits(dataset.identity)
    except HistoryError as error:
        raise SweepError(f"history: {error}") from None
