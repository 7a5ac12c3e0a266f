"""Which seed a replay takes that has none of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tune_select.mappings import value_at


def nearest_seed(
    config: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> Mapping[str, Any]:
    """The seed configuration whose values of ``keys`` are nearest to those of ``config``.

    Positive numbers are compared by their ratio, other numbers by their difference; any other two
    values are equal or further apart than numbers ever are.

    Args:
        config: A replay's configuration.
        seeds: Configurations to choose from.
        keys: Dotted keys, all of equal rank.

    Raises:
        ValueError: A configuration lacks one of the keys.
    """

    def distance(seed: Mapping[str, Any]) -> float:
        return sum(_apart(value_at(config, key), value_at(seed, key)) for key in keys)

    try:
        return min(seeds, key=distance)
    except KeyError as missing:
        raise ValueError(f"seed_by names {missing}, which a trial's configuration lacks") from None


_UNLIKE = 1e9


def _apart(mine: Any, theirs: Any) -> float:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (mine, theirs))
    if not numbers:
        return 0.0 if mine == theirs else _UNLIKE
    if mine > 0 and theirs > 0:
        return abs(math.log(mine / theirs))
    return abs(float(mine) - float(theirs))
