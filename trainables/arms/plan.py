"""What an arm's name stands for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from trainables.checks import check_keys, integer, number, require
from trainables.settings.selection import SelectionSettings, parse_selection
from trainables.settings.trial import TrialSettings
from tune_select.selection import minibatch

ArmKind = Literal["seed", "cached", "full", "selector", "mini_batch"]


@dataclass(frozen=True)
class ArmPlan:
    """What an arm's name stands for.

    Attributes:
        name: The arm as the configuration names it.
        kind: ``seed`` publishes, ``cached`` replays, ``full`` trains on everything, ``selector``
            chooses from the whole training set and ``mini_batch`` from each mini-batch.
        selector: Name or import string of the selector; ``cached`` or a replay's name for replays;
            ``full`` for full training.
        selection: The trial's selection settings with the variant's overrides.
        epochs: How many epochs the trial runs.
        warm_start_epochs: How many of them, at the start, train on all the data.
        time_budget_s: Training and selection seconds after which the trial stops, or ``None``.
    """

    name: str
    kind: ArmKind
    selector: str
    selection: SelectionSettings
    epochs: int
    warm_start_epochs: int
    time_budget_s: float | None = None

    @property
    def selector_settings(self) -> dict[str, Any]:
        """Constructor keywords of this arm's selector."""
        return dict(self.selection.settings.get(self.selector, {}))


def plan_arm(settings: TrialSettings) -> ArmPlan:
    """Resolve ``settings.arm`` into what the trial does.

    Raises:
        ValueError: A variant is malformed, or the interval does not fit the epochs.
    """
    variant = dict(settings.arms.get(settings.arm, {}))
    prefix = f"arms.{settings.arm}."
    selector = variant.pop("selector", None if variant else settings.arm)
    require(isinstance(selector, str), prefix + "selector", selector,
            "a selector's name, cached, seed or full")  # fmt: skip
    max_epochs = variant.pop("max_epochs", settings.max_epochs)
    integer(prefix + "max_epochs", max_epochs, least=1)
    budget_s = variant.pop("time_budget_s", settings.time_budget_s)
    if budget_s is not None:
        number(prefix + "time_budget_s", budget_s, above=0)
    selection = _with_overrides(settings.selection, variant, prefix)
    kind = _kind(selector)
    if kind == "seed":
        selector = selection.algorithm
    if kind != "full" and settings.forgetting_record is not None:
        raise ValueError(
            f"forgetting_record={settings.forgetting_record!r} needs arm full, where every epoch "
            f"sees every example; arm {settings.arm!r} does not"
        )
    if kind == "full" or (kind == "cached" and selection.align == "progress"):
        return ArmPlan(settings.arm, kind, selector, selection, max_epochs, 0, budget_s)
    warm, epochs = epochs_of(selection, max_epochs)
    if kind != "mini_batch" and selection.select_every > epochs - warm:
        raise ValueError(
            f"selection.select_every={selection.select_every} is larger than the {epochs - warm} "
            f"epochs on subsets (max_epochs={max_epochs}, {warm} of warm start): lower it, or "
            "train for more epochs"
        )
    return ArmPlan(settings.arm, kind, selector, selection, epochs, warm, budget_s)


def epochs_of(selection: SelectionSettings, max_epochs: int) -> tuple[int, int]:
    """(warm-start epochs T_f, epochs of the whole run).

    With ``kappa``, T_s = kappa T epochs on subsets follow T_f = T_s k / n on all the data
    (Killamsetty et al. 2021, A.2.1); at kappa = 1/2 the run costs what T subset epochs cost.
    """
    if selection.kappa is None:
        return selection.warm_start_epochs, max_epochs
    subset_epochs = max(1, round(selection.kappa * max_epochs))
    warm = round(subset_epochs * selection.fraction)
    return warm, warm + subset_epochs


def _kind(selector: str) -> ArmKind:
    if selector in ("seed", "full"):
        return selector  # type: ignore[return-value]
    if selector.split("_")[0] == "cached":
        return "cached"
    return "mini_batch" if minibatch.is_selector_name(selector) else "selector"


def _with_overrides(
    selection: SelectionSettings, variant: dict[str, Any], prefix: str
) -> SelectionSettings:
    """The sweep's selection settings with what a named variant changes."""
    base = {f.name: getattr(selection, f.name) for f in fields(SelectionSettings)}
    check_keys(variant, set(base), prefix)
    if "settings" in variant:
        variant = {**variant, "settings": {**base["settings"], **variant["settings"]}}
    if "warm_start_epochs" in variant:  # a variant's own choice replaces the sweep's
        base["kappa"] = None
    elif "kappa" in variant:
        base["warm_start_epochs"] = 0
    return parse_selection({**base, **variant}, prefix if variant else "selection.")
