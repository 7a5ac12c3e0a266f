"""The interval that a loop trains on now, and the weights of its examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tune_select.history import Interval
from tune_select.history.subsets import interval_from_state, interval_state, subset_of
from tune_select.loops.drawing import Drawable


class AtHand:
    """Holds one interval, or none: then everything is drawn, with equal weights.

    Args:
        size: n, the number of examples.
        look_up: Whether the loop asks for weights, so that they are kept by position.

    Attributes:
        interval: The interval.
        is_fresh: Whether it was taken for the epoch that is drawn.
    """

    def __init__(self, size: int, *, look_up: bool) -> None:
        self._size, self._look_up = size, look_up
        self._by_position: Tensor | None = None
        self.interval: Interval | None = None
        self.is_fresh = False

    def __len__(self) -> int:
        """How many examples it has."""
        return self._size if self.interval is None else len(self.interval)

    def take(self, interval: Interval | None) -> None:
        """Hold another interval."""
        self.interval, self._by_position = interval, None
        if interval is not None and self._look_up:
            self._by_position = torch.full((self._size,), torch.nan)
            subset = subset_of(interval)
            self._by_position[subset.indices] = subset.weights

    def drawable(self) -> Drawable:
        """What an epoch draws from."""
        if self.interval is None:
            return Drawable(torch.arange(self._size))
        subset = subset_of(self.interval)
        return Drawable(subset.indices, subset.weights, subset.batches)

    def weights_of(self, indices: Any, epoch: int) -> Tensor:
        """Weights of examples, float32 (B,), mean 1 over the subset.

        Args:
            indices: Positions in the dataset, (B,).
            epoch: The epoch that is drawn, from 0, for the error.

        Raises:
            ValueError: One of them is not in the subset, or not in the dataset.
        """
        positions = torch.as_tensor(indices, dtype=torch.int64)
        if self._by_position is None:
            return torch.ones(positions.shape, device=positions.device)
        inside = (positions >= 0) & (positions < self._size)
        if not bool(inside.all()):
            raise ValueError(
                f"examples {positions[~inside].tolist()[:5]} are none of the dataset's "
                f"{self._size}: give their positions"
            )
        found = self._by_position.to(positions.device)[positions]
        if bool(found.isnan().any()):
            raise ValueError(
                f"examples {positions[found.isnan()].tolist()[:5]} are not in the subset of epoch "
                f"{epoch + 1}: draw batches through the sampler"
            )
        return found

    def errors(self) -> dict[str, float]:
        """The gradient errors of an interval that was just taken, as far as they are known."""
        if not self.is_fresh or self.interval is None:
            return {}
        return self.interval.gradient_errors()

    def state(self) -> dict[str, Any] | None:
        """Tensors and plain values, for ``load``."""
        return None if self.interval is None else interval_state(self.interval)

    def load(self, state: Mapping[str, Any] | None) -> None:
        """Hold the interval of ``state``, which is not fresh."""
        self.is_fresh = False
        self.take(None if state is None else interval_from_state(state))
