"""Selective-Backprop with a fixed number of backward passes per mini-batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    require_valid,
    uniform_draws,
)
from tune_select.selection.minibatch.scoring import ScoringSelector, highest


class SelectiveBackpropFixed(ScoringSelector):
    """Draws exactly m of M without replacement, in proportion to (loss percentile)^beta.

    The percentile is that within the mini-batch, (rank + 1/2) / M. This is the variant of Balles et
    al., section 2, and of Cai et al., Algorithm 1 (who draw in proportion to the loss itself); with
    ``Scheduled`` around it, it has their start, end and interrupt.

    Args:
        beta: Selectivity, at least 0; 0 draws uniformly. ``None``: M / m with budget m.

    Raises:
        ValueError: ``beta`` is negative.
    """

    def __init__(self, beta: float | None = None) -> None:
        if beta is not None and not beta >= 0:
            raise ValueError(f"beta must be at least 0, got {beta}; 0 draws uniformly")
        self._beta = beta

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """(percentile)^beta."""
        size = len(signals)
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
        """Selectivity."""
        return {"beta": self._beta}
