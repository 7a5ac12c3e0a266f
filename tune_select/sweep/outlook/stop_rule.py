"""When a search has nothing left to gain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.statistics.stopping import GainToCome, gain_to_come


@dataclass
class StopRule:
    """Says after each ended trial whether further configurations could still change the answer.

    The answer is the primary arm's best configuration by the mean of its training seeds' last
    validation metric. Plain data, so that it is pickled with the scheduler that asks it; of a
    resumed search it learns again from the trials' last reports.

    Attributes:
        metric: What the search optimises.
        mode: ``"min"`` or ``"max"``.
        arm: The primary arm.
        seeds: Training seeds of each configuration.
        points: Configurations that the search would try.
        regret: The change that counts, in the metric's unit.
        chance: The chance of such a change at which the search ends.
    """

    metric: str
    mode: str
    arm: str
    seeds: tuple[int, ...]
    points: int
    regret: float
    chance: float
    _scores: dict[int, dict[int, float]] = field(default_factory=dict)

    def note(self, config: Mapping[str, Any], result: Mapping[str, Any] | None) -> bool:
        """Learn how a trial ended, and say whether the search may end.

        Args:
            config: The trial's configuration.
            result: Its last report; ``None``, or one without a finite metric, ranks last.
        """
        if config.get("arm") != self.arm:
            return False
        value = (result or {}).get(self.metric)
        sign = 1.0 if self.mode == "max" else -1.0
        finite = value is not None and math.isfinite(value)
        score = sign * float(value) if finite else -math.inf  # type: ignore[arg-type]
        known = self._scores.setdefault(int(config.get("configuration", -1)), {})
        known[int(config.get("seed", 0))] = score
        return self.gain().is_below(self.chance)

    def gain(self) -> GainToCome:
        """What is left to gain, from the configurations whose training seeds have all ended."""
        whole = [
            [known[seed] for seed in self.seeds]
            for known in self._scores.values()
            if all(seed in known for seed in self.seeds)
        ]
        scores = np.array(whole, dtype=np.float64).reshape(len(whole), len(self.seeds))
        return gain_to_come(scores, more=max(0, self.points - len(whole)), regret=self.regret)
