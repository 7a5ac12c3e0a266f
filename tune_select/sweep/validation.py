"""What is wrong with a sweep, found before anything of it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.ladder import check_rungs_hold_classes
from tune_select.sweep.plan import Plan, make_plan
from tune_select.sweep.preflight import (
    Rehearsal,
    check_cluster,
    check_history,
    check_ladder,
    check_replays,
    check_resources,
    check_storage,
    check_tracking,
    check_trials,
    check_unread,
    rehearse,
)


def validate_sweep(config: SweepConfig, *, data: bool = True) -> Plan:
    """Check a sweep, its data and its given history without running anything.

    Args:
        config: The config as written.
        data: Whether the files that it reads are here and are looked at.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    if data:
        return preflight_sweep(config).plan
    plan = make_plan(config)
    check_ladder(plan)
    check_unread(plan)
    check_trials(plan, files=False)
    check_replays(plan)
    return plan


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
    """Check a sweep as far as it can be without training.

    Its files, data, history, models and resources, and whoever it will talk to: cluster and MLflow.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    plan = make_plan(config)
    check_ladder(plan)
    check_unread(plan)
    check_resources(config)
    check_storage(config)
    check_replays(plan)
    check_cluster(config)
    check_tracking(config)
    dataset = load_and_check(plan)
    return Checked(plan, dataset, rehearse(plan, dataset))


def checked_with_data(config: SweepConfig) -> tuple[Plan, Any]:
    """The plan of a sweep that can run here, and its data set.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    checked = preflight_sweep(config)
    return checked.plan, checked.dataset


_BEFORE_DATA = 256  # values that are looked at before the data is read, and after it all


def load_and_check(plan: Plan) -> Any:
    """The data set, once for all trials, if the trainable shares one; every arm checked on it.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    load = getattr(plan.trainable, "load_dataset", None)
    try:
        check_trials(plan, most=_BEFORE_DATA)
        dataset = None if load is None else load(plan.base_config())
        check_trials(plan, dataset)
        check_rungs_hold_classes(plan, dataset)
    except (ValueError, OSError) as error:
        raise SweepError(str(error)) from None
    check_history(plan, dataset)
    return dataset
