"""Whether replays fit the history that their seed will write, or the one that was given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tune_select.arms import Arm, arm_of
from tune_select.history import HistoryError, HistoryIdentity, SubsetHistory
from tune_select.search.fits import Offer, check_replay
from tune_select.search.foreseen import branches, foreseen
from tune_select.search.seed_first import seeded_crossing
from tune_select.search.space import merged
from tune_select.search.trial_order import TrialOrder
from tune_select.sweep.cells import crossed_with
from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import Plan


def check_replays(plan: Plan) -> None:
    """Refuse replays that do not fit what the sweep's own seeds will select.

    Raises:
        SweepError: The arm or the point, the key, both values and the remedy.
    """
    if not plan.config.needs_seed():
        return
    crossed = crossed_with(plan, "", "") | {"share": {}}
    space, seeds = crossed.pop("space"), crossed.pop("seed_configs")
    try:
        TrialOrder(seeded_crossing(space, seeds, **crossed)).foresee(_points(plan, space))
    except ValueError as error:
        raise SweepError(str(error)) from None


def check_history(plan: Plan, dataset: Any) -> None:
    """Refuse a given history that replays cannot train on, before any trial starts.

    Args:
        plan: The plan of the sweep.
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
    except HistoryError as error:
        raise SweepError(f"history: {error}") from None
    _check_fractions(plan, history.identity)
    for arm, config in _given_replays(plan):
        # What selected in another sweep is that sweep's business, unless an arm asks for it.
        offer = Offer.of_identity(history.identity, f"history {plan.config.history}")
        known = offer if "algorithm" in arm.selection else replace(offer, algorithm=None)
        try:
            check_replay(config, known, arm.name if plan.config.tune.ladder else arm)
        except ValueError as error:
            raise SweepError(str(error)) from None


def _check_fractions(plan: Plan, identity: HistoryIdentity) -> None:
    """One error for all fractions that a history lacks, with those that it has."""
    lacking: dict[float, dict[str, None]] = {}
    for arm, config in _given_replays(plan):
        fraction = arm_of(config).fraction
        if fraction not in identity.fractions:
            lacking.setdefault(fraction, {})[arm.name] = None
    if lacking:
        wanted = ", ".join(f"{f:g} (arm {', '.join(names)})" for f, names in lacking.items())
        there = ", ".join(f"{fraction:g}" for fraction in identity.fractions)
        raise SweepError(
            f"history: {plan.config.history} has subsets at fraction {there} only, but replays "
            f"train on {wanted}: choose among its fractions, or leave history out so that a seed "
            "trial publishes all that are needed"
        )


def _given_replays(plan: Plan) -> Iterator[tuple[Arm, dict[str, Any]]]:
    """Replays of a given history, with every value that the space lists."""
    names = plan.config.replay_arms()
    for point in _points(plan, plan.param_space("", "")):
        for arm in map(plan.config.arm, names):
            yield arm, arm.on(point)


def _points(plan: Plan, space: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Points of the sweep's space, laid over what all trials share."""
    if plan.space.define_by_run is not None:
        yield from (merged(space, point) for point in branches(plan.space.define_by_run))
    elif plan.space.points:
        yield from (merged(space, point) for point in plan.space.points)
    else:
        yield from foreseen(space, None)
