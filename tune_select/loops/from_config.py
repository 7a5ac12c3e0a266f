"""From a trial's configuration, as sweeps write it, to a sampler's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_select.arms import arm_of, settled
from tune_select.arms.selection import KEYS
from tune_select.plain import plain
from tune_select.selection import trials_own

_OF_SAMPLER = KEYS - {"settings", "kappa", "kappa_of", "record_gradient_error"}
_OF_TRIAL = ("history", "seed", "wait_s")


def arguments_of(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of ``SubsetSampler``.

    Args:
        config: A trial's configuration.
        given: What the loop's own code says; it counts where the configuration says nothing.

    Raises:
        ValueError: The epochs are named nowhere, or a value is out of range.
    """
    whole = settled(config)
    table = {key: plain(given[key]) for key in _OF_SAMPLER if key in given} | dict(
        whole.get("selection") or {}
    )
    arm = arm_of(
        {
            **whole,
            "arm": whole.get("arm", given.get("arm", "full")),
            "selection": table,
            "max_epochs": _epochs(whole, given),
        }
    )
    assert arm.plan is not None  # it has epochs
    name = arm.kind if arm.kind == "seed" else arm.selector
    arguments = {**given, "config": dict(config), "arm": name}
    arguments |= {key: getattr(arm.selection, key) for key in _OF_SAMPLER if key in table}
    arguments |= {key: whole[key] for key in _OF_TRIAL if key in whole}
    arguments["epochs"] = arm.plan.epochs
    arguments["warm_start_epochs"] = arm.plan.warm_start_epochs
    own = {"batch_size"} & trials_own(arm.selector) & set(whole)
    settings = {key: whole[key] for key in own} | dict(given.get("settings") or {})
    arguments["settings"] = settings | arm.selection.settings.get(arm.selector, {})
    return arguments


def _epochs(config: Mapping[str, Any], given: Mapping[str, Any]) -> int:
    for where in map(plain, (config.get("max_epochs"), given.get("epochs"), config.get("epochs"))):
        if where is not None:
            if not isinstance(where, int) or isinstance(where, bool):
                raise ValueError(f"max_epochs must be an integer, got {where!r}")
            return where
    raise ValueError(
        "neither the configuration (max_epochs) nor the call (epochs=) says how many epochs the "
        "loop trains"
    )
