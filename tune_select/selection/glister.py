"""GLISTER: the examples whose training step lowers the validation loss most."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.facility_location import sample_size
from tune_select.selection.gradients import (
    check_request,
    gradient_sum,
    layer_inputs,
    matched_signals,
    with_gradient_error,
)
from tune_select.selection.softmax import probabilities

Regularizer = Literal["none", "random", "diversity"]
_REFERENCES = 1024  # examples that diversity asks to be covered: an (n, 1024) matrix


class Glister(Selector):
    """GLISTER-Online (Killamsetty et al. 2021 AAAI, Algorithm 2), all weights 1.

    Chooses greedily for the validation loss after a training step on the choice, in its first
    Taylor term: an example gains ``<g_validation, g_i>``. After each round the last layer is moved
    by ``learning_rate`` times the sum of the gradients chosen so far, and the validation gradients
    are computed again at that point: what the choice has taught already gains nothing more, without
    which it would stay with a class or two. Within a round the gains are fixed, and each pick is
    the best of a random sample (stochastic greedy, Mirzasoleiman et al. 2015).

    Args:
        learning_rate: eta of the step on the last layer.
        rounds: r, how often the validation gradients are computed.
        epsilon: The epsilon of stochastic greedy; samples have ``(n / k) ln(1 / epsilon)``
            examples.
        regularizer: ``"none"``; ``"random"``: a share of the choice is random; ``"diversity"``: the
            share that facility location over features has in the gain.
        strength: The share, in [0, 1].

    Raises:
        ValueError: An argument is outside its range.
    """

    needs_validation = True

    def __init__(
        self,
        *,
        learning_rate: float = 0.01,
        rounds: int = 15,
        epsilon: float = 0.01,
        regularizer: Regularizer = "none",
        strength: float = 0.5,
    ) -> None:
        if not 0.0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a finite number > 0, got {learning_rate}")
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {rounds}")
        if not 0.0 < epsilon < 1.0:
            raise ValueError(f"epsilon must be in (0, 1), got {epsilon}")
        if regularizer not in ("none", "random", "diversity"):
            raise ValueError(
                f'regularizer must be "none", "random" or "diversity", got {regularizer!r}'
            )
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength must be in [0, 1], got {strength}")
        self.learning_rate = learning_rate
        self.rounds = rounds
        self.epsilon = epsilon
        self.regularizer: Regularizer = regularizer
        self.strength = strength

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class.

        Raises:
            ValueError: Also when there is no validation split, or the loss is no softmax
                cross-entropy.
        """
        check_request(signals, budget)
        validation = _Validation(matched_signals(signals, "validation"))
        order = torch.randperm(len(signals), generator=generator)
        count = round(self.strength * budget) if self.regularizer == "random" else 0
        chosen, pool = [order[:count]], order[count:]
        diversity = _Diversity(signals, generator) if self.regularizer == "diversity" else None
        inputs = layer_inputs(signals)
        remaining, rounds = budget - count, self.rounds
        while remaining > 0:
            taken = torch.cat(chosen)
            step = self.learning_rate * gradient_sum(signals, indices=taken)
            gradient = validation.gradient(step)
            gains = _gains(inputs, signals.output_gradients, gradient)
            if diversity is not None:
                gains = _mix(gains, diversity.gains(taken), self.strength)
            part = -(-remaining // rounds)
            picks, pool = self._round(gains, pool, part, remaining, generator)
            chosen.append(picks)
            remaining, rounds = remaining - part, rounds - 1
        subset = Subset(indices=torch.cat(chosen), weights=torch.ones(budget))
        return with_gradient_error(signals, subset)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "learning_rate": self.learning_rate,
            "rounds": self.rounds,
            "epsilon": self.epsilon,
            "regularizer": self.regularizer,
            "strength": self.strength,
        }

    def _round(
        self, gains: Tensor, pool: Tensor, part: int, remaining: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Pick ``part`` examples from the pool, each the best of its own random sample."""
        pool = pool[torch.randperm(len(pool), generator=generator)]
        # Fixed gains make disjoint samples as good as samples drawn one after the other.
        sample = min(sample_size(len(pool), remaining, self.epsilon), len(pool) // part)
        table = gains[pool[: part * sample]].view(part, sample)
        where = table.argmax(1) + torch.arange(part) * sample
        kept = torch.ones(len(pool), dtype=torch.bool)
        kept[where] = False
        return pool[where], pool[kept]


class _Validation:
    """The validation loss's gradient as the last layer moves, its inputs held fixed."""

    def __init__(self, signals: Signals) -> None:
        check_request(signals, 1)
        found = probabilities(signals, "glister")
        self._targets = found - signals.output_gradients
        # Softmax does not see a shift per example: log-probabilities serve as logits.
        self._logits = found.double().clamp_min(1e-30).log()
        self._signals = signals
        self._inputs = layer_inputs(signals).double()

    def gradient(self, moved: Tensor) -> Tensor:
        """Mean gradient (C, D + 1) once ``moved`` is subtracted from the last layer."""
        logits = self._logits - self._inputs @ moved.T
        outputs = logits.softmax(1) - self._targets
        return outputs.T @ self._inputs / len(self._signals)


class _Diversity:
    """Gains of facility location over features, on a random sample of references."""

    def __init__(self, signals: Signals, generator: torch.Generator) -> None:
        count = min(_REFERENCES, len(signals))
        references = torch.randperm(len(signals), generator=generator)[:count]
        features = signals.inputs
        distances = torch.cdist(features, features[references.to(features.device)])
        self._similarity = (distances.max() - distances).cpu()

    def gains(self, chosen: Tensor) -> Tensor:
        """What each example adds to the cover of those chosen, (n,)."""
        if len(chosen) == 0:
            return self._similarity.sum(1)
        covered = self._similarity[chosen].max(0).values
        blocks = torch.split(self._similarity, 4096)
        return torch.cat([(block - covered).clamp_min_(0.0).sum(1) for block in blocks])


def _gains(inputs: Tensor, outputs: Tensor, gradient: Tensor) -> Tensor:
    """``<g, g_i>`` of all examples, (n,) on the CPU."""
    return ((inputs @ gradient.to(inputs.dtype).T) * outputs).sum(1).cpu()


def _mix(gains: Tensor, diversity: Tensor, share: float) -> Tensor:
    """Both on a scale of at most 1, and ``share`` of the second."""
    first = gains / gains.abs().max().clamp_min(1e-30)
    return (1.0 - share) * first + share * diversity / diversity.abs().max().clamp_min(1e-30)
