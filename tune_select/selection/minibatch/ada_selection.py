"""A pool of methods whose say in the selection adapts during training."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import BatchSignals, Choice, require_valid
from tune_select.selection.minibatch.scoring import ScoringSelector, highest


class AdaSelection(ScoringSelector):
    """Takes the highest of s_i = r_i sum_m w^m alpha_i^m (Zhang et al., eqs. 2-6, Algorithm 2).

    Where the text leaves room, this is what is done:

    - alpha^m is the softmax of the ranks of method m's scores in the mini-batch, standardised, so
      that all methods speak equally loud. Of scores themselves, also standardised ones, the method
      on the side of the longer tail outvotes the others, whatever its weight: small losses while a
      model has learnt one class alone (which it then never leaves), big ones once it has learnt
      most.
    - The l_t^m of eq. 3 is the mean loss of the examples that method m alone would choose; the mean
      over the whole mini-batch, as the text has it, would be the same for all methods.
    - The l_t^m are moving averages (``smoothing``): from one mini-batch to the next the losses of
      a few examples change by which examples they are, and a weight that multiplies at every step
      would add up that noise.
    - Losses below ``floor`` times the batch's mean count as that much: near zero they would change
      by a multiple of themselves, and decide by noise. Their change is then that of the batch, so
      that being near zero speaks neither for a method nor against it.
    - The losses of eq. 4 are shares of the batch's sum. As printed, l_i / sum l^2 hangs on the unit
      of the loss and on M, and is about 1/M: a reward that differs by a hundredth does nothing.
    - The w^m are normalised to sum 1 (and kept as logarithms), which leaves the selection as it is
      and keeps them finite.
    - A pool of one has nothing to arbitrate: the reward r is left out, and the selection is that of
      its candidate.

    Args:
        pool: Candidates, each with a score per example; not an ``AdaSelection`` itself.
        beta: The beta of eq. 3, in [-1, 1]: positive favours methods whose loss changes much in
            relation to itself, which those of the smallest losses do; negative those whose loss is
            steady.
        curriculum: Power gamma of the iteration t in the reward of eq. 4,
            r_i = exp(-t^gamma l_i / sum l^2), or ``None`` without reward. Small losses are favoured
            at the start; it takes a negative power for that to fade, as the text says it does.
        floor: What smaller losses count as in eq. 3, in mean losses of the batch; 0 for themselves.
        smoothing: What a moving average of eq. 3's losses keeps of its last value, in [0, 1); with
            0 and a ``floor`` of 0, eq. 3 is as printed.
        threshold: Choose all scores above this multiple of the mean score (eq. 6) instead of the
            m highest; their number then varies.

    Raises:
        ValueError: The pool is empty or holds something without scores, or a setting is out of
            range.
    """

    def __init__(
        self,
        pool: Sequence[ScoringSelector],
        beta: float = -0.5,
        curriculum: float | None = -0.5,
        floor: float = 0.1,
        smoothing: float = 0.9,
        threshold: float | None = None,
    ) -> None:
        pool = tuple(pool)
        if not pool:
            raise ValueError("pool must hold at least one candidate, got none")
        for candidate in pool:
            if isinstance(candidate, AdaSelection) or not isinstance(candidate, ScoringSelector):
                raise ValueError(
                    f"pool holds {candidate!r}, which has no score per example of its own: "
                    "take methods like big_loss, small_loss, uniform, gradient_norm or coreset"
                )
        if not -1 <= beta <= 1:
            raise ValueError(f"beta must be in [-1, 1], got {beta}")
        if not 0 <= floor < float("inf"):
            raise ValueError(f"floor must be a finite number >= 0, got {floor}")
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
        if threshold is not None and not threshold >= 0:
            raise ValueError(f"threshold must be at least 0, got {threshold}")
        self._pool = pool
        self._beta = beta
        self._curriculum = curriculum
        self._floor = floor
        self._smoothing = smoothing
        self._threshold = threshold
        self.needs_gradients = any(candidate.needs_gradients for candidate in pool)
        self.variable_size = threshold is not None
        self._iteration = 0
        self._log_weights = torch.zeros(len(pool))
        # (methods + 1,), moving averages: of what each would choose, and of the whole batch.
        self._mean_losses: Tensor | None = None

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """s of eq. 5, after updating the method weights with this mini-batch (eq. 3)."""
        losses = signals.losses
        candidates = [method.scores(signals, budget, generator) for method in self._pool]
        raw = torch.stack([scores.to(losses) for scores in candidates])  # (methods, M)
        self._update(losses, highest(raw, min(budget, len(signals))))
        scores = self._log_weights.softmax(0) @ _ranks(raw).softmax(1)
        if self._curriculum is None or len(self._pool) == 1:
            return scores
        shares = losses / _positive(losses.sum())
        pace = float(self._iteration) ** self._curriculum
        return scores * torch.exp(-pace * shares / _positive(shares.square().sum()))

    def _update(self, losses: Tensor, chosen: Tensor) -> None:
        """Eq. 3, from the examples (methods, m) that each method alone would choose."""
        self._iteration += 1
        mean_losses = torch.cat([losses[chosen].mean(1), losses.mean()[None]])
        before, self._mean_losses = self._mean_losses, mean_losses
        log_weights = self._log_weights.to(losses)  # a checkpoint's are on the CPU
        if before is not None:
            before = before.to(losses)
            self._mean_losses = torch.lerp(mean_losses, before, self._smoothing)
            now, then = self._at_least_floor(self._mean_losses), self._at_least_floor(before)
            log_weights = log_weights + self._beta * (now - then).abs() / then.clamp(min=1e-8)
            # Only differences matter; without this the logarithms would lose digits as they grow.
            log_weights = log_weights - log_weights.max()
        self._log_weights = log_weights

    def _at_least_floor(self, mean_losses: Tensor) -> Tensor:
        """The methods' losses (methods,), none below its share of the batch's."""
        return torch.maximum(mean_losses[:-1], self._floor * mean_losses[-1]).abs()

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """The ``budget`` highest scores, or all above the threshold, with weight one."""
        if self._threshold is None:
            return super().choose(signals, budget, generator)
        require_valid(signals, budget)
        scores = self.scores(signals, budget, generator)
        return Choice.unweighted((scores > self._threshold * scores.mean()).nonzero().squeeze(1))

    def settings(self) -> dict[str, Any]:
        """The pool by class name and settings, and the arguments."""
        return {
            "pool": [{type(method).__name__: method.settings()} for method in self._pool],
            "beta": self._beta,
            "curriculum": self._curriculum,
            "floor": self._floor,
            "smoothing": self._smoothing,
            "threshold": self._threshold,
        }

    def state_dict(self) -> dict[str, Any]:
        """Iteration, method weights, last losses and the candidates' own states."""
        return {
            "iteration": self._iteration,
            "log_weights": self._log_weights,
            "mean_losses": self._mean_losses,
            "pool": [method.state_dict() for method in self._pool],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave.

        Raises:
            ValueError: The state is of a pool of another size.
        """
        if len(state["pool"]) != len(self._pool):
            raise ValueError(
                f"a pool of {len(self._pool)} does not fit a checkpoint with "
                f"{len(state['pool'])} candidates: keep the setting when resuming"
            )
        self._iteration = int(state["iteration"])
        self._log_weights = state["log_weights"]
        # A checkpoint of an earlier version lacks the batch's mean: eq. 3 begins anew from there.
        before = state["mean_losses"]
        fits = before is not None and len(before) == len(self._pool) + 1
        self._mean_losses = before if fits else None
        for method, own in zip(self._pool, state["pool"], strict=True):
            method.load_state_dict(own)

    def metrics(self) -> dict[str, Tensor]:
        """The normalised method weights, as ``method_weight_big_loss`` and so on."""
        names = [re.sub(r"(?<!^)(?=[A-Z])", "_", type(m).__name__).lower() for m in self._pool]
        weights = self._log_weights.softmax(0)
        return {
            f"method_weight_{name}" + (f"_{number}" if name in names[:number] else ""): weight
            for number, (name, weight) in enumerate(zip(names, weights, strict=True))
        }


def _ranks(scores: Tensor) -> Tensor:
    """Ranks (methods, M) of each method's scores, of mean 0 and variance 1; of ties, in any order.

    All methods then have the same M values, so that none has a longer tail than another.
    """
    ranks = scores.argsort(1).argsort(1).to(scores)
    size = scores.shape[1]
    spread = math.sqrt(max(1.0, (size * size - 1) / 12))  # of the numbers 0 to M - 1
    return (ranks - (size - 1) / 2) / spread


def _positive(values: Tensor) -> Tensor:
    """At least the smallest normal number: losses may all be zero."""
    return values.clamp(min=torch.finfo(values.dtype).tiny)
