"""Selective-Backprop: the higher a loss among recent ones, the likelier the backward pass."""

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
from tune_select.selection.minibatch.loss_history import LossHistory
from tune_select.selection.minibatch.scoring import ScoringSelector


class SelectiveBackprop(ScoringSelector):
    """Chooses each example with probability CDF_R(loss)^beta (Jiang et al. 2019, Algorithm 2).

    The number chosen varies, so the loop collects chosen examples until a full batch is there
    (Algorithm 1); on a GPU, learning that number takes one wait for the device per mini-batch.
    Deviation: the losses of a mini-batch enter the history together, so that all of them are
    compared with the same R losses; the original adds and compares one after the other.

    Args:
        beta: Selectivity, at least 0; 0 chooses every example. ``None``: M / m - 1 with budget m,
            for which m of M are chosen on average, as CDF_R(loss) is uniform on [0, 1].
        history_size: R, how many recent losses make up the distribution.

    Raises:
        ValueError: A setting is out of range.
    """

    variable_size = True

    def __init__(self, beta: float | None = None, history_size: int = 1024) -> None:
        if beta is not None and not beta >= 0:
            raise ValueError(f"beta must be at least 0, got {beta}; 0 chooses every example")
        self._beta = beta
        self._history_size = history_size
        self._history = LossHistory(history_size)

    def scores(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Tensor:
        """The probabilities, after adding the losses to the history."""
        self._history.add(signals.losses)
        beta = max(len(signals) / budget - 1, 0.0) if self._beta is None else self._beta
        return self._history.percentiles(signals.losses).pow(beta)

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """Any number of examples, from none to all, with weight one."""
        require_valid(signals, budget)
        probabilities = self.scores(signals, budget, generator)
        draws = uniform_draws(len(signals), signals.losses, generator)
        return Choice.unweighted((draws < probabilities).nonzero().squeeze(1))

    def settings(self) -> dict[str, Any]:
        """Selectivity and history."""
        return {"beta": self._beta, "history_size": self._history_size}

    def state_dict(self) -> dict[str, Any]:
        """The history."""
        return {"history": self._history.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back the history."""
        self._history.load_state_dict(state["history"])
