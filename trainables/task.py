"""What one kind of learning problem brings to the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Batch:
    """B examples on the training device, ready for the model.

    Attributes:
        indices: int64 (B,) positions in the split, on the CPU.
        inputs: Whatever the model takes (a tensor, a tuple, a dict).
        targets: Whatever the loss takes.
    """

    indices: Tensor
    inputs: Any
    targets: Any

    def __len__(self) -> int:
        return self.indices.shape[0]


class Task(ABC):
    """Data, model, loss and metric of one kind of problem, with nothing of Ray or of selection.

    Attributes:
        model: On ``device``.
        device: Where batches are made and losses computed.
        labels: int64 (n,) on the CPU, what per-class selectors group training examples by; all
            zero for a task without classes.
        dataset: Name, size and fingerprint of the training split (see ``data.DatasetIdentity``).
    """

    metric: ClassVar[str] = "accuracy"
    """Name of the task's metric; reported as ``val_<metric>`` and ``test_<metric>``."""

    mode: ClassVar[Literal["min", "max"]] = "max"
    """Whether a larger ``metric`` is better."""

    model: nn.Module
    device: torch.device
    labels: Tensor

    @property
    def train_size(self) -> int:
        """Number n of training examples."""
        return self.labels.shape[0]

    @abstractmethod
    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Examples of ``split`` on the device; augmented if and only if a generator is given."""

    @abstractmethod
    def losses(self, batch: Batch) -> Tensor:
        """Per-example losses (B,) of a forward pass in the model's current mode."""

    @abstractmethod
    def evaluate(self, split: Split) -> dict[str, float]:
        """``{"loss": ..., metric: ...}`` over a whole split in evaluation mode."""

    @abstractmethod
    def head(self) -> nn.Linear:
        """The last linear layer, whose inputs and output gradients selectors match.

        Raises:
            ValueError: The model has none.
        """
