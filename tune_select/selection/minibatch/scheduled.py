"""Selection in a part of the training only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    MiniBatchSelector,
    Plan,
    Progress,
)


class Scheduled(MiniBatchSelector):
    """Lets another selector choose from ``start`` to ``end``; whole batches otherwise.

    Cai et al., Algorithm 1.

    Args:
        selector: The selector to schedule.
        start: Selection begins at this share of the run's epochs, in [0, 1].
        end: Selection ends at this share of the run's epochs, in [start, 1].
        interrupt: How often to train in between: train on the whole of every ``interrupt``-th batch
            of an epoch, beginning with its first; 0 never does.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(
        self,
        selector: MiniBatchSelector,
        start: float = 0.5,
        end: float = 0.9,
        interrupt: int = 0,
    ) -> None:
        if not 0 <= start <= end <= 1:
            raise ValueError(
                f"start and end must be shares of the run with 0 <= start <= end <= 1, "
                f"got start={start} and end={end}"
            )
        if interrupt < 0 or interrupt == 1:
            raise ValueError(
                f"interrupt must be 0 (never) or at least 2, got {interrupt}; "
                "1 would train on every batch whole"
            )
        self._selector = selector
        self._start, self._end, self._interrupt = start, end, interrupt
        self.needs_gradients = selector.needs_gradients
        self.needs_losses = selector.needs_losses
        self.variable_size = selector.variable_size

    def plan(self, progress: Progress) -> Plan:
        """Whole batches outside the schedule."""
        active = self._start <= progress.epoch / progress.max_epochs < self._end
        if not active or (self._interrupt and progress.batch % self._interrupt == 0):
            return Plan.WHOLE
        return self._selector.plan(progress)

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """What the scheduled selector chooses."""
        return self._selector.choose(signals, budget, generator)

    def observe(self, losses: Tensor) -> None:
        """Hand the losses on."""
        self._selector.observe(losses)

    def settings(self) -> dict[str, Any]:
        """The schedule, and the scheduled selector's settings."""
        return {
            "selector": {type(self._selector).__name__: self._selector.settings()},
            "start": self._start,
            "end": self._end,
            "interrupt": self._interrupt,
        }

    def state_dict(self) -> dict[str, Any]:
        """That of the scheduled selector."""
        return self._selector.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hand the state on."""
        self._selector.load_state_dict(state)

    def metrics(self) -> dict[str, Tensor]:
        """Those of the scheduled selector."""
        return self._selector.metrics()
