"""What every selector inside the mini-batch takes and returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchSignals:
    """What the selection pass over a mini-batch of M examples saw, on the training device.

    Attributes:
        losses: float32 (M,), detached per-example losses.
        inputs: float32 (M, D) last-layer inputs h, or (M, T, D) for sequences; (M, 0) when the
            selector does not need gradients.
        output_gradients: float32 (M, C) or (M, T, C), the gradients p of each example's own loss at
            the last layer's outputs; (M, 0) when not needed.
    """

    losses: Tensor
    inputs: Tensor
    output_gradients: Tensor

    def __len__(self) -> int:
        return self.losses.shape[0]


@dataclass(frozen=True)
class Choice:
    """Which examples of the mini-batch go through the backward pass.

    Attributes:
        positions: int64 (m,) positions in the mini-batch, on the signals' device.
        weights: float32 (m,) non-negative, mean 1 unless the method is biased by design.
    """

    positions: Tensor
    weights: Tensor


class MiniBatchSelector(ABC):
    """Chooses, after a forward pass over M examples, those that go through the backward pass.

    A selector may keep state between mini-batches (a ring buffer of losses, method weights);
    ``state_dict`` and ``load_state_dict`` carry it through a checkpoint.
    """

    needs_gradients: ClassVar[bool] = False
    """Whether ``BatchSignals.inputs`` and ``output_gradients`` must be collected."""

    variable_size: ClassVar[bool] = False
    """Whether ``choose`` may return any number of examples; the loop then collects chosen
    examples until a full batch is there (Jiang et al. 2019, Algorithm 1)."""

    @abstractmethod
    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """Choose ``budget`` of the M examples (all M when M <= budget)."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values, for logs."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that must survive a checkpoint; tensors and plain values only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""

    def metrics(self) -> dict[str, float]:
        """Scalars to log beside the loss (AdaSelection's method weights, for one)."""
        return {}
