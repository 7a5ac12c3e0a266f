"""What a replay may make of a recorded subset before it trains on it.

Replaying a subset as it is repeats its errors in every trial. Each transform here trades some of
the selection for less of that; ``replay_named`` builds them from settings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tune_select.keywords import check_keywords, keywords_of
from tune_select.selection.base import Subset
from tune_select.selection.replays.base import ReplayTransform
from tune_select.selection.replays.mixing import Growing, Mixed
from tune_select.selection.replays.reweighting import Clipped, Tempered
from tune_select.wording import did_you_mean


class Chain(ReplayTransform):
    """One transform after the other."""

    def __init__(self, *transforms: ReplayTransform) -> None:
        self.transforms = transforms

    def apply(
        self, subset: Subset, n: int, generator: torch.Generator, progress: float = 0.0
    ) -> Subset:
        """See the base class."""
        for transform in self.transforms:
            subset = transform.apply(subset, n, generator, progress)
        return subset

    def settings(self) -> dict[str, Any]:
        """See the base class; settings of the members side by side."""
        return {
            name: value
            for transform in self.transforms
            for name, value in transform.settings().items()
        }


def _chain(
    *,
    random_share: float = 0.0,
    exponent: float = 1.0,
    largest: float | None = None,
    first: float = 1.0,
    last: float = 1.0,
) -> ReplayTransform:
    transforms: list[ReplayTransform] = []
    if exponent != 1.0:
        transforms.append(Tempered(exponent=exponent))
    if largest is not None:
        transforms.append(Clipped(largest=largest))
    if (first, last) != (1.0, 1.0):
        transforms.append(Growing(first=first, last=last))
    if random_share != 0.0:
        transforms.append(Mixed(random_share=random_share))
    return transforms[0] if len(transforms) == 1 else Chain(*transforms)


_DEFAULTS: dict[str, dict[str, float]] = {
    "cached": {},
    "cached_composed": {},
    "cached_mixed": {"random_share": 0.5},
    "cached_tempered": {"exponent": 0.5},
    "cached_clipped": {"largest": 3.0},
    "cached_growing": {"first": 0.5, "last": 1.5},
}

REPLAY_NAMES: tuple[str, ...] = tuple(_DEFAULTS)
"""Names that ``replay_named`` knows."""


def replay_named(name: str, **settings: Any) -> ReplayTransform:
    """Build a replay's transform from its name and settings.

    Every name takes all settings (``random_share``, ``exponent``, ``largest``, ``first``,
    ``last``); they differ in the defaults. Weights are tempered and clipped first, then the subset
    grows, then it is mixed.

    Raises:
        ValueError: The name or a setting is unknown, or a setting is outside its range.
    """
    if name not in _DEFAULTS:
        raise ValueError(f"replay {name!r} is unknown; {did_you_mean(name, REPLAY_NAMES)}")
    check_keywords(name, settings, keywords_of(_chain))
    build: Callable[..., ReplayTransform] = _chain
    try:
        return build(**{**_DEFAULTS[name], **settings})
    except TypeError as error:
        raise ValueError(f"settings of replay {name!r} do not fit: {error}") from error
