"""An example trial of each arm, checked by the trainable before any of them starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from tune_select.arms import FULL_ARM, SEED_ARM
from tune_select.messages import SettingsError
from tune_select.search.space import merged, spread
from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import Plan
from tune_select.wording import cut

MOST_CHECKED = 4096
"""Values of a space that are looked at: of more, as many spread evenly, the last among them."""


def check_trials(
    plan: Plan, dataset: Any = None, *, files: bool = True, most: int = MOST_CHECKED
) -> None:
    """Let the trainable check an example trial of each arm, if it offers to.

    Args:
        plan: The plan of the sweep.
        dataset: What the trainable's ``load_dataset`` returned.
        files: Whether files that arms name, such as the record of a proxy run, must be here.
        most: How many examples of the space are looked at.

    Raises:
        SweepError: The arm, the field, its value and the remedy.
    """
    check = getattr(plan.trainable, "check", None)
    if check is None:
        return
    for arm, config in examples(plan, most):
        try:
            check(config, dataset)
        except SettingsError as error:
            raise SweepError(str(error.placed(partial(_written_at, plan, arm)))) from None
        except ValueError as error:
            if not files and isinstance(error.__cause__, FileNotFoundError):
                continue
            raise SweepError(_said_of(plan, arm, cut(str(error)))) from None
        except Exception as error:  # a check of the user's own
            kind = type(error).__name__
            raise SweepError(
                f"arm {arm}: the trainable's check raised {kind}: {error!s:.300}"
            ) from error


def _said_of(plan: Plan, arm: str, said: str) -> str:
    """What is wrong with an arm, where the sweep names it: all of a ladder's rungs share theirs."""
    ladder = plan.config.tune.ladder
    if ladder is not None and arm in plan.config.rungs() and said.startswith("selector "):
        return f"tune.ladder.train_on{said.removeprefix('selector')}"
    return f"arm {arm}: {said}"


def _written_at(plan: Plan, arm: str, field: str) -> str:
    """Where a sweep says what a trial knows as ``field``: its arm, its space, or its tables.

    Args:
        plan: The plan of the sweep.
        arm: The arm of the trial.
        field: The dotted key of the trial's configuration.
    """
    key, *inner = re.split(r"[.\[]", field, maxsplit=2)
    variant = next((one for one in plan.config.named_arms() if one.name == arm), None)
    if variant is not None:
        if key in variant.training():
            return f"arms.{arm}.{field}"
        if key == "selection" and inner and inner[0] in variant.overrides():
            return f"arms.{arm}.{field.removeprefix('selection.')}"
    if any(f"{field}.".startswith((f"{axis}.", f"{axis}[")) for axis in plan.space.axes):
        return f"space.{field}"
    own = {"selection", "data", "evaluation", "history", "seed", "arm", "arms"}
    return field if key in own else f"train.{field}"


def examples(plan: Plan, most: int = MOST_CHECKED) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trials that between them hold every value of every axis in every arm, and all seeds' own.

    Args:
        plan: The plan of the sweep.
        most: How many of the space's examples are used at the most.
    """
    if plan.config.needs_seed():
        for config in plan.seed_configs("", ""):
            yield SEED_ARM, config
    place = plan.config.history or plan.location("", "")
    own = {"seed": plan.config.tune.seeds[0], "history": place}
    arms = [*plan.config.arm_names(), *([FULL_ARM] if plan.config.promote else [])]
    base = plan.base_config()  # makes a scheduler, to ask for its milestones
    for example in spread(plan.space.examples(), most):
        point = merged(base, example) | own
        for arm in arms:
            yield arm, plan.config.arm(arm).on(point)
