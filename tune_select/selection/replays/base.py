"""What turns a recorded subset into the one that a replay trains on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from tune_select.selection.base import Subset


class ReplayTransform(ABC):
    """Turns a recorded subset into the one to train on; immutable, random by generator alone."""

    @abstractmethod
    def apply(
        self, subset: Subset, n: int, generator: torch.Generator, progress: float = 0.0
    ) -> Subset:
        """Transform the subset of one interval.

        Args:
            subset: The subset as recorded.
            n: Number of training examples.
            generator: A CPU generator. Seeded alike in every trial, it keeps the trials on common
                examples, which makes comparing them less noisy.
            progress: Share of the run that lies before the middle of this interval, in [0, 1).

        Returns:
            A subset with weights of mean 1.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values."""

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({arguments})"


def check_share(name: str, value: float) -> None:
    """Raise ``ValueError`` unless ``value`` is in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be in [0, 1], got {value}")
