"""Selective-Backprop with a fixed number of backward passes per mini-batch."""

from __future__ import annotations

from typing import Any, Final, Literal

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    require_valid,
    uniform_draws,
)
from tune_select.selection.minibatch.scoring import ScoringSelector, highest

_FLOOR: Final = 1e-30
"""Least weight of an example: small beside any loss, and far from overflow when divided by."""


class SelectiveBackpropFixed(ScoringSelector):
    """Draws exactly m of M without replacement, in proportion to (importance)^beta.

    With the loss percentile within the mini-batch, (rank + 1/2) / M, as importance this is the
    variant of Balles et al., section 2; with the loss itself it is P_select of Cai et al., section
    3.1. With ``Scheduled`` around it, it has the start, end and interrupt of their Algorithm 1.

    Args:
        beta: Selectivity, at least 0; 0 draws uniformly. ``None``: M / m with budget m for
            percentiles, 1 for losses.
        importance: ``percentile`` or ``loss``.

    Raises:
        ValueError: ``beta`` is negative, or ``importance`` unknown.
    """

    def __init__(
        self,
        beta: float | None = None,
        importance: Literal["percentile", "loss"] = "percentile",
    ) -> None:
        if beta is not None and not beta >= 0:
            raise ValueError(f"beta must be at least 0, got {beta}; 0 draws uniformly")
        if importance not in ("percentile", "loss"):
            raise ValueError(f"importance must be percentile or loss, got {importance!r}")
        self._beta = beta
        self._importance = importance

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """(importance)^beta, positive."""
        size = len(signals)
        if self._importance == "loss":
            losses = signals.losses.clamp(min=0)
            weights = losses if self._beta is None else losses.pow(self._beta)
            # An example without loss is drawn only when no other is left.
            return weights.clamp(min=_FLOOR)
        order = signals.losses.argsort()
        steps = (torch.arange(size, device=order.device, dtype=torch.float32) + 0.5) / size
        beta = max(size / budget, 1.0) if self._beta is None else self._beta
        return torch.empty_like(steps).scatter_(0, order, steps.pow(beta))

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """``budget`` examples with weight one."""
        require_valid(signals, budget)
        if len(signals) <= budget:
            return Choice.whole(signals)
        weights = self.scores(signals, budget, generator)
        # The m first arrivals of independent exponential clocks with these rates are a weighted
        # sample without replacement; torch.multinomial would make the host wait for the device.
        draws = uniform_draws(len(signals), weights, generator)
        arrivals = -torch.log1p(-draws) / weights
        return Choice.unweighted(highest(-arrivals, budget))

    def settings(self) -> dict[str, Any]:
        """Selectivity and what it applies to."""
        return {"beta": self._beta, "importance": self._importance}
