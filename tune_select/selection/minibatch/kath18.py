"""Importance sampling inside the mini-batch, switched on when it pays."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    Plan,
    Progress,
    require_valid,
    uniform_draws,
)
from tune_select.selection.minibatch.scoring import ScoringSelector

_FLOOR: Final = 1e-30
"""Added to each score, so that a batch of zero losses is sampled uniformly."""


class Kath18(ScoringSelector):
    """Draws m of M with replacement, in proportion to the loss (Katharopoulos and Fleuret 2018).

    This is their Algorithm 1 as Jiang et al. 2019, section 5.1, compare it: the loss for the
    importance, no bias reweighting, variable start. Until the start, and whenever the condition
    fails again, whole batches are trained on and their training losses keep the estimate up to date
    at no cost. Sampling g over B examples reduces the variance as if the batch were tau times as
    large, with tau^-2 = 1 - ||g - u||^2 / ||g||^2 and u uniform, which for g = loss / sum(loss) is
    tau = rms(loss) / mean(loss).

    Args:
        threshold: Start when the moving average of tau exceeds this. ``None``: (M + 3 m) / (3 m),
            from where on a step is cheaper than the larger batch it stands for, if a backward pass
            costs two forward passes (their B + 3 b < 3 tau b).
        momentum: Share of the moving average that an update keeps, the paper's alpha_tau.
        reweight: Weight examples by 1 / (M g), which makes the gradient estimate unbiased up to
            the normalisation of the weights.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(
        self, threshold: float | None = None, momentum: float = 0.9, reweight: bool = False
    ) -> None:
        if threshold is not None and not threshold >= 0:
            raise ValueError(f"threshold must be at least 0, got {threshold}; 0 starts at once")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        self._threshold = threshold
        self._momentum = momentum
        self._reweight = reweight
        self._tau = torch.zeros(())
        self._target = threshold

    def plan(self, progress: Progress) -> Plan:
        """Whole batches until the variance reduction exceeds the threshold."""
        if self._target is None:
            return Plan.MEASURE  # the first batch tells the sizes from which the threshold follows
        # The decision is the host's, so this waits for the device.
        return Plan.MEASURE if float(self._tau) > self._target or self._target == 0 else Plan.WHOLE

    def observe(self, losses: Tensor) -> None:
        """Update tau with the losses (B,) of a batch."""
        losses = losses.detach().clamp(min=0)
        # All losses zero: nothing to prefer, hence tau = 1.
        tau = losses.square().mean().sqrt() / losses.mean()
        tau = tau.nan_to_num(nan=1.0)
        self._tau = self._momentum * self._tau.to(tau.device) + (1 - self._momentum) * tau

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """The losses, of which negative ones count as zero."""
        return signals.losses.clamp(min=0)

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """``budget`` draws, possibly with repetitions."""
        require_valid(signals, budget)
        if self._target is None:
            self._target = (len(signals) + 3 * budget) / (3 * budget)
        self.observe(signals.losses)
        if len(signals) <= budget:
            return Choice.whole(signals)
        scores = self.scores(signals, budget, generator) + _FLOOR
        # Draws with replacement by inverting the cumulative sums: torch.multinomial would make the
        # host wait for the device. Rounding may leave a draw behind the last sum.
        cumulative = scores.cumsum(0)
        draws = uniform_draws(budget, cumulative, generator) * cumulative[-1]
        positions = torch.searchsorted(cumulative, draws, right=True).clamp(max=len(signals) - 1)
        if not self._reweight:
            return Choice.unweighted(positions)
        # 1 / (M g) makes the mean of the draws the mean over the batch. Weights are brought to mean
        # one, and the factor M sum(loss) cancels.
        weights = 1 / scores[positions]
        return Choice(positions, weights * (budget / weights.sum()))

    def settings(self) -> dict[str, Any]:
        """Threshold, momentum and weighting."""
        return {
            "threshold": self._threshold,
            "momentum": self._momentum,
            "reweight": self._reweight,
        }

    def state_dict(self) -> dict[str, Any]:
        """The moving average and the threshold in use."""
        return {"tau": self._tau, "target": self._target}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back the moving average and the threshold in use."""
        self._tau, self._target = state["tau"], state["target"]

    def metrics(self) -> dict[str, Tensor]:
        """The moving average of tau."""
        return {"variance_reduction": self._tau}
