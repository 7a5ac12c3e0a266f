"""The most recent losses and the percentiles of new ones among them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LossHistory:
    """A ring buffer of the R most recent losses, on the device of the losses it is given.

    It answers for a whole mini-batch at once: one sort of the buffer and a binary search per loss,
    O((R + M) log R) together, with no transfer from the device.

    Args:
        size: R.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"history_size must be at least 1, got {size}")
        self._size = size
        # Slots not yet written hold infinity: they sort behind every loss and count for nothing.
        self._losses = torch.full((size,), torch.inf)
        self._written = 0

    def add(self, losses: Tensor) -> None:
        """Append losses (M,), which displace the M oldest."""
        self._losses = self._losses.to(losses)
        recent = losses[-self._size :]  # of a batch larger than the buffer, only the end remains
        self._written += len(losses) - len(recent)
        start = self._written % self._size
        first = min(len(recent), self._size - start)
        self._losses[start : start + first] = recent[:first]
        self._losses[: len(recent) - first] = recent[first:]
        self._written += len(recent)

    def percentiles(self, losses: Tensor) -> Tensor:
        """Share (M,) of the buffer that is at most each loss: CDF_R of Jiang et al., eq. 1.

        Raises:
            ValueError: The buffer is empty.
        """
        if self._written == 0:
            raise ValueError("the history holds no losses yet: add some first")
        ordered = self._losses.sort().values
        return torch.searchsorted(ordered, losses.to(ordered), right=True) / len(self)

    def __len__(self) -> int:
        return min(self._written, self._size)

    def state_dict(self) -> dict[str, Any]:
        """The buffer and how many losses it has seen."""
        return {"losses": self._losses.clone(), "written": self._written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave.

        Raises:
            ValueError: The state is of a buffer of another size.
        """
        if len(state["losses"]) != self._size:
            raise ValueError(
                f"history_size={self._size} does not fit a checkpoint with {len(state['losses'])} "
                "losses: keep the setting when resuming"
            )
        self._losses, self._written = state["losses"].clone(), int(state["written"])
