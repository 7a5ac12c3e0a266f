"""What an arm's name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainables.settings.trial import TrialSettings
from tune_select.arms import ArmKind, Selection, check_selector, epochs_of


@dataclass(frozen=True)
class ArmPlan:
    """What an arm's name stands for in one trial.

    Attributes:
        name: The arm as the configuration names it.
        kind: What it does; see ``tune_select.arms``.
        selector: Name or import string of the selector; ``cached`` or a replay's name for replays;
            ``full`` for full training.
        selection: What the arm reads of the trial's selection settings.
        epochs: How many epochs the trial runs.
        warm_start_epochs: How many of them, at the start, train on all the data.
        time_budget_s: Training and selection seconds after which the trial stops, or ``None``.
    """

    name: str
    kind: ArmKind
    selector: str
    selection: Selection
    epochs: int
    warm_start_epochs: int
    time_budget_s: float | None = None

    @property
    def selector_settings(self) -> dict[str, Any]:
        """Constructor keywords of this arm's selector."""
        return dict(self.selection.settings.get(self.selector, {}))


def plan_arm(settings: TrialSettings) -> ArmPlan:
    """What the trial of ``settings`` does.

    Raises:
        ValueError: No selector is of the arm's name, the interval does not fit the epochs, or
            forgetting is to be recorded where examples are left out.
    """
    selection, kind = settings.selection, settings.kind
    if kind == "seed":
        check_selector("selection.algorithm", selection.algorithm, of_seed=True)
    elif settings.selector == settings.arm:
        check_selector("arm", settings.selector)
    else:
        check_selector(f"arms.{settings.arm}.selector", settings.selector)
    if kind != "full" and settings.forgetting_record is not None:
        raise ValueError(
            f"forgetting_record={settings.forgetting_record!r} needs arm full, where every epoch "
            f"sees every example; arm {settings.arm!r} does not"
        )
    length = epochs_of(kind, selection, settings.max_epochs)
    on_subsets = length.epochs - length.warm_start_epochs
    by_progress = kind == "cached" and selection.align == "progress"
    chooses = kind not in ("full", "mini_batch") and not by_progress
    if chooses and selection.select_every > on_subsets:
        raise ValueError(
            f"selection.select_every={selection.select_every} is larger than the {on_subsets} "
            f"epochs on subsets (max_epochs={settings.max_epochs}, {length.warm_start_epochs} of "
            "warm start): lower it, or train for more epochs"
        )
    selector = selection.algorithm if kind == "seed" else settings.selector
    return ArmPlan(
        settings.arm,
        kind,
        selector,
        selection.read_by(kind, selector),
        length.epochs,
        length.warm_start_epochs,
        settings.time_budget_s,
    )
