"""Settings that a sweep accepts and nothing would read, or that Tune would refuse at its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_select.sweep.algorithms import VARIANTS
from tune_select.sweep.config import SweepError
from tune_select.sweep.ladder import as_rival
from tune_select.sweep.plan import Plan
from tune_select.users_code import users_code
from tune_select.wording import shown

_OURS = ("metric", "mode")  # of the whole sweep: its tables and its promotion go by them too


def check_unread(plan: Plan) -> None:
    """Refuse settings that would change nothing.

    A sweep that was begun by an older version is not asked: it goes on as it began.

    Args:
        plan: The plan of the sweep.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    _check_searcher(plan, "tune")
    _check_scheduler(plan, "tune")
    for rival in plan.config.rival_searches():
        own = as_rival(plan, rival)
        _check_searcher(own, f"rivals.{rival.name}")
        _check_scheduler(own, f"rivals.{rival.name}")
    _check_fraction(plan)


def _check_searcher(plan: Plan, where: str) -> None:
    tuned = plan.config.tune
    options = tuned.searcher_options
    if options and tuned.searcher in VARIANTS:
        raise SweepError(
            f"{where}.searcher_options is {shown(options)}, but the searcher {tuned.searcher!r} "
            "has no options: leave it out (tune.num_samples and tune.seeds say how much is drawn "
            "and from which seed), or set another searcher"
        )
    _check_placed(f"{where}.searcher_options", options)


def _check_scheduler(plan: Plan, where: str) -> None:
    """Ask the scheduler what Tune asks it when the sweep starts: to take metric and mode."""
    _check_placed(f"{where}.scheduler_options", plan.config.tune.scheduler_options)
    scheduler = plan.scheduler()
    with users_code(f"{where}.scheduler is {plan.config.tune.scheduler!r}, but setting its metric"):
        taken = scheduler.set_search_properties(plan.metric, plan.mode)
    if not taken:
        raise SweepError(
            f"{where}.scheduler is {plan.config.tune.scheduler!r}, which has a metric or a mode of "
            f"its own and does not take the sweep's (tune.metric={plan.metric!r}, "
            f"tune.mode={plan.mode!r}): leave its own out"
        )


def _check_placed(where: str, options: Mapping[str, Any]) -> None:
    """Refuse among a part's options what is the whole sweep's."""
    for key in _OURS:
        if key in options:
            raise SweepError(
                f"{where}.{key} is {shown(options[key])}, but {key} is the whole sweep's: set "
                f"tune.{key}, and leave it out there"
            )


def _check_fraction(plan: Plan) -> None:
    """A ladder's rungs, and its seed, have fractions of their own."""
    climb, selection = plan.config.tune.ladder, plan.config.selection
    if climb is None or selection.fraction == type(selection)().fraction:
        return  # the default stands in every resolved sweep
    read = [rung.fraction for rung in climb.climbs()]
    if selection.fraction not in (*read, climb.seed_fraction):
        raise SweepError(
            f"selection.fraction is {selection.fraction:g}, which no rung of tune.ladder trains "
            "on: leave it out, and name the rungs' own in tune.ladder.fractions"
        )
