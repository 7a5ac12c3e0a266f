"""The learning rate times a factor, and the training as much shorter (Balles et al., C.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray import tune


def learning_rate_stretch() -> dict[str, Any]:
    """Factors from 0.1 to 10 around CIFAR's rate of 0.1 over 200 epochs (Balles et al., Fig. 5)."""
    return _stretched(0.1, 200, (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))


def small_learning_rate_stretch() -> dict[str, Any]:
    """Factors from a third to three around a rate of 0.01 over 10 epochs."""
    return _stretched(0.01, 10, (1 / 3, 0.5, 1.0, 2.0, 3.0))


def _stretched(rate: float, epochs: int, factors: Sequence[float]) -> dict[str, Any]:
    """A grid over the rate; the number of epochs follows from it, T = T_base / factor."""
    # Milestones are shares of the run, so that a schedule stretches with it.
    return {
        "learning_rate": tune.grid_search([factor * rate for factor in factors]),
        "max_epochs": tune.sample_from(
            lambda config: max(1, round(epochs * rate / config["learning_rate"]))
        ),
    }
