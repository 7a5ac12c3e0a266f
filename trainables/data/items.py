"""Items of any map-style dataset, read with random draws of their own, as batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tune_select.history.fingerprint import length_of
from tune_select.selection.heads.find import tensors_in
from tune_select.selection.heads.labels import classes, labels_in
from tune_select.streams import kept_randomness

Collate = Callable[[list[Any]], Any]
_TRIED = 8  # items that show whether a collate function keeps their order
_TARGETS = ("labels", "label", "targets", "target", "y")


class SeededItems(torch.utils.data.Dataset[Any]):
    """A dataset whose item (position, seed) is drawn under that seed, in whatever process.

    A random augmentation in ``dataset[position]`` draws from the generators of Python, NumPy and
    torch, so the same seed gives the same item, to a seed trial and its replays alike; the
    generators are left as they were.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, item: tuple[int, int]) -> Any:
        position, seed = item
        with kept_randomness(seed):
            return self._dataset[position]


def draws(indices: Tensor, generator: torch.Generator | None) -> list[tuple[int, int]]:
    """Positions with the seeds of their random draws.

    Args:
        indices: int64 (B,) positions.
        generator: The generator of the seeds; ``None`` draws every item under a seed that is its
            position's, so that it is the same each time.
    """
    positions = indices.tolist()
    if generator is None:
        return [(position, position) for position in positions]
    seeds = torch.randint(
        2**31, (len(positions),), generator=generator, device=generator.device
    ).tolist()
    return list(zip(positions, seeds, strict=True))


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a collated batch.

    Of a tuple, the last part is the targets and the others are the inputs; of a mapping, the first
    of ``labels``, ``targets`` and the like is, and what is left is the inputs. Anything else is
    both, as for an autoencoder.
    """
    if isinstance(batch, Mapping):
        key = next((key for key in _TARGETS if key in batch), None)
        if key is None:
            return dict(batch), dict(batch)
        return {k: _tuples(v) for k, v in batch.items() if k != key}, _tuples(batch[key])
    if isinstance(batch, Sequence) and not isinstance(batch, str) and len(batch) > 1:
        inputs = batch[0] if len(batch) == 2 else tuple(batch[:-1])
        return _tuples(inputs), _tuples(batch[-1])
    return batch, batch


def _tuples(value: Any) -> Any:
    """Collated lists as tuples: a list is one entry per example, a tuple several inputs."""
    if isinstance(value, list | tuple) and any(
        isinstance(part, Tensor | Mapping | list | tuple) for part in value
    ):
        return tuple(_tuples(part) for part in value)
    return value


def item_labels(dataset: Any, collate: Collate, labels: Any = None) -> Tensor:
    """Classes of a dataset's examples, int64 (n,); zeros where targets are no classes.

    Args:
        dataset: Map-style.
        collate: The function as of ``DatasetTask``.
        labels: Given by the user. Else they are what the dataset holds as ``targets`` or
            ``labels``, or what one pass over its items finds.

    Raises:
        ValueError: Given ones do not fit.
    """
    size = length_of(dataset)
    if labels is not None:
        return classes(labels, size)
    for name in ("targets", "labels"):
        held = getattr(dataset, name, None)
        if isinstance(held, Tensor | Sequence) and not isinstance(held, str) and len(held) == size:
            try:
                return classes(held, size)
            except (ValueError, TypeError):  # held, but no classes: numbers, several labels
                break
    if not bool(_classes_in(_collated(dataset, collate, [0]))):
        return torch.zeros(size, dtype=torch.int64)
    parts = torch.split(torch.arange(size), 256)
    found = [_collated(dataset, collate, part.tolist()) for part in parts]
    return torch.cat(
        [labels_in(batch, len(part)) for batch, part in zip(found, parts, strict=True)]
    )


def _collated(dataset: Any, collate: Collate, positions: list[int]) -> Any:
    items = SeededItems(dataset)
    inputs, targets = split_batch(collate([items[position, position] for position in positions]))
    return (inputs, targets)


def _classes_in(batch: Any) -> bool:
    targets = batch[1]
    return isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point()


def check_order(dataset: Any, collate: Collate) -> None:
    """Refuse a collate function that sorts: rows would be taken for other examples.

    A few items in the opposite order must give their rows in the opposite order. Tensors that do
    not tell (constant ones, numbers of rows, what is drawn at random) are passed over.

    Raises:
        ValueError: The same rows come in another order than that.
    """
    size = length_of(dataset)
    items = SeededItems(dataset)
    spread = torch.linspace(0, size - 1, min(size, _TRIED)).long().tolist()

    def tensors(positions: list[int]) -> list[list[Any]]:
        # Copies, as collate functions take entries out of items that are mappings.
        held = [copy.copy(items[position, position]) for position in positions]
        with kept_randomness(0):
            parts = tensors_in(collate(held))
        return [part.tolist() for part in parts if part.ndim and len(part) == len(positions)]

    followed = shuffled = False
    for rows, turned in zip(tensors(spread), tensors(spread[::-1]), strict=False):
        if rows != rows[::-1]:
            followed |= turned == rows[::-1]
            shuffled |= turned != rows[::-1] and sorted(map(str, turned)) == sorted(map(str, rows))
    if shuffled and not followed:
        raise ValueError(
            "collate_fn puts its items into an order of its own (it sorts them by length?): "
            "weights and selections go by position, so it must keep the order that it is given"
        )


def batches_of(
    dataset: Any,
    collate: Collate,
    wanted: Iterator[list[tuple[int, int]]],
    workers: int,
    *,
    pin: bool,
) -> Iterator[Any]:
    """Collated batches in order, read ahead by worker processes.

    Args:
        dataset: Map-style.
        collate: The collate of a list of items.
        wanted: Positions and seeds of each batch.
        workers: Processes; 0 reads here.
        pin: Whether to put tensors where a GPU takes them from fastest.
    """
    yield from torch.utils.data.DataLoader(
        SeededItems(dataset),
        batch_sampler=wanted,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin,
    )
