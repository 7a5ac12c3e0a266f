"""Batches of pictures with their objects, prepared here or ahead by worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset

from trainables.detection.dataset import DetectionSet
from trainables.detection.transforms import Preparation

Item = tuple[Tensor, Tensor, Tensor]
Draw = tuple[int, int | None]
"""A position and the seed of its augmentation, or ``None`` for no augmentation."""


class ExampleReader(TorchDataset[Item]):
    """Picture uint8 (3, S, S), boxes float32 (M, 4) and labels int64 (M,) by position and seed.

    M is the largest number of objects of a picture of the split, the same in every batch, so that
    parts of batches can be joined. The seed of each picture's augmentation comes with its position:
    what a picture looks like does not depend on which process prepared it.
    """

    def __init__(self, dataset: DetectionSet, prepare: Preparation) -> None:
        self._dataset = dataset
        self._prepare = prepare
        self._room = int(dataset.trainable_box_counts().max(initial=0))

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, draw: Draw) -> Item:
        position, seed = draw
        example = self._prepare(self._dataset, position, seed)
        boxes = torch.zeros(self._room, 4)
        labels = torch.zeros(self._room, dtype=torch.int64)
        boxes[: len(example.boxes)] = example.boxes
        labels[: len(example.labels)] = example.labels
        return example.image, boxes, labels

    def read(self, draws: list[Draw]) -> list[Tensor]:
        """One batch, prepared in this process: pixels, boxes and labels."""
        batch: list[Tensor] = default_collate([self[draw] for draw in draws])
        return batch

    def read_ahead(
        self, draws: Iterable[list[Draw]], workers: int, pin_memory: bool
    ) -> Iterator[list[Tensor]]:
        """Batches in order; with workers, uint8 pixels come back through shared memory."""
        if workers == 0:
            yield from map(self.read, draws)
            return
        yield from DataLoader(
            self,
            batch_sampler=draws,
            num_workers=workers,
            pin_memory=pin_memory,
        )


def draws_of(indices: Tensor, generator: torch.Generator | None) -> list[Draw]:
    """Positions with a seed each from ``generator``, or without when there is none."""
    if generator is None:
        return [(position, None) for position in indices.tolist()]
    size, device = (len(indices),), generator.device
    seeds = torch.randint(2**62, size, generator=generator, device=device).tolist()
    return list(zip(indices.tolist(), seeds, strict=True))
