"""Replays with other weights."""

from __future__ import annotations

from typing import Any

import torch

from tune_select.selection.base import Subset
from tune_select.selection.replays.base import ReplayTransform, check_share
from tune_select.selection.weighting import capped_shares, make_subset


class Tempered(ReplayTransform):
    """Weights to the power ``exponent``: 1 as recorded, 0 all equal.

    Raises:
        ValueError: ``exponent`` is outside [0, 1].
    """

    def __init__(self, *, exponent: float = 0.5) -> None:
        check_share("exponent", exponent)
        self.exponent = exponent

    def apply(
        self, subset: Subset, n: int, generator: torch.Generator, progress: float = 0.0
    ) -> Subset:
        """See the base class."""
        return make_subset(
            subset.indices, subset.weights.double() ** self.exponent, batches=subset.batches
        )

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"exponent": self.exponent}


class Clipped(ReplayTransform):
    """No weight above ``largest`` times the mean weight; what is cut off is shared by the others.

    Raises:
        ValueError: ``largest`` is below 1.
    """

    def __init__(self, *, largest: float = 3.0) -> None:
        if not 1.0 <= largest < float("inf"):
            raise ValueError(f"largest must be a finite number >= 1, got {largest}")
        self.largest = largest

    def apply(
        self, subset: Subset, n: int, generator: torch.Generator, progress: float = 0.0
    ) -> Subset:
        """See the base class."""
        weights = subset.weights.double()
        weights = capped_shares(weights, len(subset), self.largest)
        return make_subset(subset.indices, weights, batches=subset.batches)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"largest": self.largest}
