"""How many more trials a cluster could run at once, by bookkeeping alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.tune.experiment import Trial

Resources = Mapping[str, float]

_LOOK_AGAIN_S = 2.0
_CROWD = 1_000_000
_ROUNDING = 1e-6


@dataclass
class Slots:
    """The resources that no trial holds or is promised.

    Nodes are added up: a request that is split badly over nodes may wait although it seems to fit,
    which costs a replay some patience and nothing else.

    Attributes:
        total: Resources of the cluster, looked up at most every two seconds.
    """

    total: Resources = field(default_factory=dict)
    _looked_at: float = -_LOOK_AGAIN_S

    def free(self, trials: Iterable[Trial]) -> dict[str, float]:
        """What is left when each of ``trials`` has what it asks for; may be negative."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            self.total = ray.cluster_resources()  # type: ignore[no-untyped-call]
        left = dict(self.total)
        for trial in trials:
            take(left, request_of(trial))
        return left


def request_of(trial: Trial) -> Resources:
    """What a trial asks for, summed over its bundles."""
    factory: Any = trial.placement_group_factory
    return dict(factory.required_resources)


def fits(request: Resources, left: Resources) -> bool:
    """Whether a request can be met from what is left."""
    return all(left.get(name, 0.0) + _ROUNDING >= need for name, need in request.items() if need)


def take(left: dict[str, float], request: Resources) -> None:
    """Subtract a request from what is left, in place."""
    for name, need in request.items():
        if need:
            left[name] = left.get(name, 0.0) - need


def how_many(request: Resources, left: Resources) -> int:
    """How many equal requests could be met; a request for nothing always can."""
    counts = [
        int((left.get(name, 0.0) + _ROUNDING) // need) for name, need in request.items() if need
    ]
    return max(0, min(counts, default=_CROWD))
