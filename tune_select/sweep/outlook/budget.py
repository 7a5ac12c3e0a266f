"""What a sweep will train, counted from its plan before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tune_select.arms import arm_of
from tune_select.sweep.outlook.planned import promoted, rivals_trials, searched
from tune_select.sweep.plan import Plan


@dataclass(frozen=True)
class TrainingBudget:
    """How much a sweep trains at the most: schedulers and time budgets stop trials before.

    Attributes:
        trials: Seed trials, the search's and the promoted ones.
        epochs: The epochs of all trials together, however many examples an epoch has.
        full_epochs: The same in passes over the whole training set, which is what training costs;
            selections and selection passes come on top.
        evaluations: Times that a trial is evaluated on the validation split.
    """

    trials: int
    epochs: int
    full_epochs: float
    evaluations: int

    def __str__(self) -> str:
        return (
            f"{self.trials} trials, {self.epochs} epochs worth {self.full_epochs:.0f} on all the "
            f"examples, {self.evaluations} evaluations"
        )


def training_budget(plan: Plan) -> TrainingBudget | None:
    """Count a sweep's training; ``None`` where a trial's configuration does not say its epochs."""
    counts = [_of_trial(config) for config in _configs(plan)]
    if not counts or None in counts:
        return None
    epochs, full_epochs, evaluations = zip(*(count for count in counts if count), strict=True)
    return TrainingBudget(len(counts), sum(epochs), sum(full_epochs), sum(evaluations))


def _configs(plan: Plan) -> list[dict[str, Any]]:
    """Every trial that will run; a space without a list of points counts with an example."""
    search = searched(plan)
    if plan.config.tune.ladder is not None:
        return search + [trial for _, trial in rivals_trials(plan)]
    return search + promoted(plan, search)


def _of_trial(config: Mapping[str, Any]) -> tuple[int, float, int] | None:
    """(epochs, passes over the training set, evaluations) of one trial."""
    arm = arm_of(config)
    if arm.plan is None:
        return None
    warm, epochs = arm.plan.warm_start_epochs, arm.plan.epochs
    share = arm.fraction
    if arm.kind == "mini_batch":
        share = arm.selection.settings.get(arm.selector, {}).get("keep", share)
    looks = config.get("evaluation") or {}  # a share of the seconds may come to every epoch
    every = looks.get("every") or (config.get("eval_every") if looks.get("share") is None else 1)
    evaluations = math.ceil(epochs / int(every or 1))
    return epochs, warm + (epochs - warm) * share, evaluations
