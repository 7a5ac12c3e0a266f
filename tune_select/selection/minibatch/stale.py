"""Selection passes in some epochs only, their losses remembered in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    MiniBatchSelector,
    Plan,
    Progress,
    require_valid,
)


class Stale(MiniBatchSelector):
    """Runs the selection pass every n-th epoch and reuses its losses in between.

    Stale-SB of Jiang et al. 2019, section 3.3, for any selector that looks at losses alone. An
    example that no selection pass has seen (left over by an epoch, or new to the subset) counts as
    the largest loss of its batch, so that it is soon trained on.

    Args:
        selector: The selector to wrap.
        every: n, epochs between selection passes; 1 runs them in every epoch.

    Raises:
        ValueError: ``every`` is below 1, or the selector needs gradients, which are not remembered.
    """

    def __init__(self, selector: MiniBatchSelector, every: int = 3) -> None:
        if every < 1:
            raise ValueError(f"stale must be at least 1 epoch, got {every}")
        if selector.needs_gradients:
            raise ValueError(
                f"stale={every} does not go with {type(selector).__name__}, which needs gradients; "
                "only losses are remembered"
            )
        self._selector = selector
        self._every = every
        self.needs_losses = selector.needs_losses
        self.variable_size = selector.variable_size
        self._measured_epoch: int | None = None
        self._losses = torch.empty(0)  # by position in the training set; NaN where never seen

    def plan(self, progress: Progress) -> Plan:
        """No selection pass in the n - 1 epochs after one with selection passes."""
        plan = self._selector.plan(progress)
        if plan is not Plan.MEASURE:
            return plan
        if self._measured_epoch is None or progress.epoch - self._measured_epoch >= self._every:
            self._measured_epoch = progress.epoch
        return Plan.MEASURE if progress.epoch == self._measured_epoch else Plan.CHOOSE

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """What the wrapped selector chooses from measured or remembered losses."""
        if self.needs_losses:
            require_valid(signals, budget)
            if signals.indices is None:
                raise ValueError("stale needs the positions of the examples in the training set")
            if signals.measured:
                self._remember(signals.indices, signals.losses)
            else:
                losses = self._recall(signals.indices, signals.losses.device)
                signals = replace(signals, losses=losses, measured=True)
        return self._selector.choose(signals, budget, generator)

    def _remember(self, indices: Tensor, losses: Tensor) -> None:
        self._grow(indices, losses.device)
        self._losses[indices.to(losses.device, non_blocking=True)] = losses

    def _recall(self, indices: Tensor, device: torch.device) -> Tensor:
        self._grow(indices, device)
        losses = self._losses[indices.to(device, non_blocking=True)]
        return losses.nan_to_num(nan=torch.inf).clamp(max=losses.nan_to_num(nan=0.0).max())

    def _grow(self, indices: Tensor, device: torch.device) -> None:
        self._losses = self._losses.to(device)
        missing = int(indices.max()) + 1 - len(self._losses)  # indices are on the CPU: no waiting
        if missing > 0:
            self._losses = torch.cat([self._losses, self._losses.new_full((missing,), torch.nan)])

    def observe(self, losses: Tensor) -> None:
        """Hand the losses on."""
        self._selector.observe(losses)

    def settings(self) -> dict[str, Any]:
        """The interval, and the wrapped selector's settings."""
        return {
            "selector": {type(self._selector).__name__: self._selector.settings()},
            "every": self._every,
        }

    def state_dict(self) -> dict[str, Any]:
        """The remembered losses, and the wrapped selector's state."""
        return {
            "measured_epoch": self._measured_epoch,
            "losses": self._losses,
            "selector": self._selector.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._measured_epoch = state["measured_epoch"]
        self._losses = state["losses"]
        self._selector.load_state_dict(state["selector"])

    def metrics(self) -> dict[str, Tensor]:
        """Those of the wrapped selector."""
        return self._selector.metrics()
