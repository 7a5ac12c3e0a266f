"""How the test metrics of one or more sweeps read in a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.results.load import Results
from analysis.words import MISSING, minus, number


@dataclass(frozen=True)
class Shape:
    """How the test metrics of some sweeps read.

    Attributes:
        share: All are shares, shown in per cent.
        sign: +1 when a larger metric is better, else -1.
        metric: Its name, for people.
    """

    share: bool
    sign: int
    metric: str

    @classmethod
    def of(cls, sweeps: Sequence[Results]) -> Shape:
        """Of sweeps with the same metric."""
        first = sweeps[0]
        return cls(all(s.is_share for s in sweeps), first.sign, first.metric.replace("_", " "))

    def value(self, value: float) -> str:
        """A metric."""
        if not math.isfinite(value):
            return MISSING
        return f"{100 * value:.2f}" if self.share else f"{value:.4g}"

    def points(self, value: float) -> str:
        """A difference or a deviation."""
        return minus(f"{100 * value:.3g}") if self.share else number(value)

    @property
    def heading(self) -> str:
        """The test metric with its unit."""
        return f"Test {self.metric}" + (" (%)" if self.share else "")

    @property
    def points_unit(self) -> str:
        """Of :meth:`points`."""
        return "pp" if self.share else ""
