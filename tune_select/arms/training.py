"""What a trial's training hangs on, so that no training is done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tune_select.arms.arm import RESOLVED_ARM, arm_of, settled
from tune_select.plain import plain

BOOKKEEPING = frozenset(
    {
        *("configuration", "phase", "strategy", "rung", "rung_name", "promoted_from"),
        "leave_weights",
        RESOLVED_ARM,
    }
)
"""Keys that a search adds to a trial's configuration, on which no training hangs: for its tables,
and whether the weights are kept for another trial."""


def training_key(config: Mapping[str, Any], history: str = "") -> str:
    """A digest that two trials share if, and only if, they would be trained alike.

    Of the ``selection`` table, what the trial's arm reads counts (``Selection.read_by``, which is
    also all that an arm is ever handed), and the lengths that come of it in place of the ways to
    say them; the arm's name does not, nor does a history that no replay reads.

    Args:
        config: A trial's whole configuration.
        history: Name of the history that the trial writes or replays, where it does.

    Raises:
        ValueError: As ``arm_of``.
    """
    arm = arm_of(config)
    config = plain(settled(config))
    read = arm.selection.read_by(arm.kind, arm.selector)
    told_elsewhere = {"arm", "history", "selection", *BOOKKEEPING}
    content = {
        "kind": arm.kind,
        "selector": arm.selector,
        "selection": {
            key: value
            for key, value in read.model_dump().items()
            if key not in ("kappa", "kappa_of", "warm_start_epochs")
        },
        "length": None if arm.plan is None else [arm.plan.warm_start_epochs, arm.plan.epochs],
        "history": history if arm.kind in ("seed", "cached") else "",
        "others": {key: value for key, value in config.items() if key not in told_elsewhere},
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
