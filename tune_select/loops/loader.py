"""A DataLoader that counts what the loop has trained on, however far its workers read ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

_SET_BY_SAMPLER = ("shuffle", "sampler", "batch_sampler")


class SubsetLoader(DataLoader[Any]):
    """Batches of what a sampler draws; tells it of each batch that the loop is given.

    Args:
        dataset: Whose examples to train on; may differ from the sampler's by augmentation.
        sampler: Draws the examples.
        trained: Called with the number of examples of each batch given out, and with ``None`` at
            the end of an epoch.
        batch_size: Examples per batch.
        drop_last: Whether to leave out an incomplete last batch.
        **settings: Others of ``torch.utils.data.DataLoader``.

    Raises:
        ValueError: The settings say what to draw.
    """

    def __init__(
        self,
        dataset: Any,
        sampler: Sampler[int],
        trained: Callable[[int | None], None],
        *,
        batch_size: int = 1,
        drop_last: bool = False,
        **settings: Any,
    ) -> None:
        for name in _SET_BY_SAMPLER:
            if settings.pop(name, None):
                raise ValueError(
                    f"{name} does not go with a SubsetSampler, which draws and shuffles: leave it "
                    "out"
                )
        self._sizes: deque[int] = deque()
        self._trained = trained
        counted = _CountedBatches(sampler, batch_size, drop_last, self._sizes)
        super().__init__(dataset, batch_sampler=counted, **settings)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Batches of one epoch."""
        self._sizes.clear()
        for batch in super().__iter__():
            self._trained(self._sizes.popleft())
            yield batch
        self._trained(None)


class _CountedBatches(torch.utils.data.BatchSampler):
    def __init__(
        self, sampler: Sampler[int], batch_size: int, drop_last: bool, sizes: deque[int]
    ) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self._sizes = sizes

    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            self._sizes.append(len(batch))
            yield batch
