"""Which history a trial publishes or replays, from its configuration alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tune_select.arms import settled
from tune_select.mappings import value_at


def history_location(config: Mapping[str, Any]) -> str | dict[str, Any] | None:
    """The place of a trial's history, for ``open_history``.

    A sweep with several seed trials gives every trial ``{"root", "store", "seed_by"}``: the trial's
    own values of the ``seed_by`` axes, those that its arm overrides among them, name the folder
    under the root, so seeds and their replays meet there whatever the searcher proposes. Anything
    else is a place already.

    Raises:
        ValueError: The configuration lacks one of the axes.
    """
    history = config.get("history")
    if not isinstance(history, Mapping) or "root" not in history:
        return dict(history) if isinstance(history, Mapping) else history
    key = history_key(config, history.get("seed_by", ()))
    return {"path": f"{history['root']}/{key}", "store": history.get("store")}


def history_key(config: Mapping[str, Any], seed_by: Any) -> str:
    """Folder name of a history: ``seed``, or with the values of the axes that tell seeds apart."""
    axes = list(seed_by)
    if not axes:
        return "seed"
    full = settled(config)
    try:
        values = {axis: value_at(full, axis) for axis in axes}
    except KeyError as missing:
        raise ValueError(
            f"tune.seed_by names {missing}, which the trial's configuration lacks"
        ) from None
    text = json.dumps(values, sort_keys=True, default=str)
    readable = "-".join(_safe(str(value)) for value in values.values())
    return f"seed-{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _safe(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in text)[:24]
