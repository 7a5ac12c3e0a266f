"""Whether a point of the space can replay the history that its seed will write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BY_EPOCH = ("select_every", "warm_start_epochs", "kappa")


def check_replay(replay: Mapping[str, Any], seed: Mapping[str, Any]) -> None:
    """Refuse a replay whose own selection settings no history of this seed fits.

    A define-by-run space is known only point by point; without this each of its replays would start
    and fail by itself. What only one of the two says is left to the trial, which knows defaults.

    Args:
        replay: The replay's whole configuration.
        seed: The configuration of the seed whose history it replays.

    Raises:
        ValueError: Names the key, both values and the remedies.
    """
    mine, theirs = replay.get("selection") or {}, seed.get("selection") or {}
    fitting = {key: [theirs[key]] for key in ("fraction", *_BY_EPOCH) if key in theirs}
    if "fraction" in fitting:
        fitting["fraction"] += theirs.get("rungs") or []
    for key, values in fitting.items():
        if mine.get("align") == "progress" and key in _BY_EPOCH:
            continue
        if key in mine and mine[key] not in values:
            raise ValueError(
                f"a point of the space sets selection.{key}={mine[key]!r}, but the seed whose "
                f"history it replays selects with {' and '.join(map(repr, values))}: no replay of "
                "it could train. Take the key out of the space, let seed_by run a seed for each of "
                "its values, or compare it in arms that select for themselves"
            )
