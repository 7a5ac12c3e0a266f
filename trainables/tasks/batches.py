"""Parts of a batch, and batches joined, whatever their inputs are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from trainables.tasks.task import Batch

Drawn = TypeVar("Drawn")
Read = TypeVar("Read")


def read_in_order(
    index_batches: Iterable[Tensor],
    draw: Callable[[Tensor], Drawn],
    read: Callable[[Iterator[Drawn]], Iterable[Read]],
) -> Iterator[tuple[Tensor, Read]]:
    """Each batch's indices beside what was read for it, also where the reader is batches ahead.

    Args:
        index_batches: Indices int64 (B,) of each batch; asked for when the reader asks.
        draw: What a reader is told of a batch: its items and their random draws, made here and in
            order, so that the number of workers changes nothing.
        read: Reads what it is told, in order.
    """
    asked: list[Tensor] = []

    def drawn() -> Iterator[Drawn]:
        for indices in index_batches:
            asked.append(indices)
            yield draw(indices)

    for batch in read(drawn()):
        yield asked.pop(0), batch


def take(batch: Batch, positions: Tensor) -> Batch:
    """The examples of ``batch`` at ``positions`` int64 (m,), on the batch's device.

    Inputs and targets may be tensors whose first dimension counts the examples, lists with one
    entry per example, and tuples and mappings of these. Lists cost a wait for the device.

    The indices of the result are on the device of ``positions``: bringing them to the CPU would
    make the host wait for the device after every selection.
    """
    indices = batch.indices.to(positions.device, non_blocking=True)
    return Batch(
        indices[positions],
        _take(batch.inputs, positions, len(batch)),
        _take(batch.targets, positions, len(batch)),
    )


def _take(value: Any, positions: Tensor, size: int) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, positions.to(value.device))
    if isinstance(value, Mapping):
        return {key: _take(entry, positions, size) for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(_take(entry, positions, size) for entry in value)
    if isinstance(value, list) and len(value) == size:
        return [value[position] for position in positions.tolist()]
    raise TypeError(_unknown(value, size))


def join(batches: Sequence[Batch]) -> Batch:
    """One batch of the examples of several, in order; for batches as ``take`` knows them."""
    if len(batches) == 1:
        return batches[0]
    return Batch(
        torch.cat([batch.indices for batch in batches]),
        _join([batch.inputs for batch in batches]),
        _join([batch.targets for batch in batches]),
    )


def _join(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(values)
    if isinstance(first, Mapping):
        return {key: _join([value[key] for value in values]) for key in first}
    if isinstance(first, tuple):
        return tuple(_join(list(entries)) for entries in zip(*values, strict=True))
    if isinstance(first, list):
        return [entry for value in values for entry in value]
    raise TypeError(_unknown(first, None))


def to_device(value: Any, device: torch.device) -> Any:
    """Tensors of ``value``, at any depth, on ``device``."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: to_device(entry, device) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(to_device(entry, device) for entry in value)
    return value


def cuts(count: int, size: int) -> list[Tensor]:
    """Positions 0 to ``count`` - 1 in order, int64 on the CPU, ``size`` at a time.

    A single last one joins the piece before it: batch normalisation cannot train on one example.
    """
    pieces = list(torch.split(torch.arange(count), size))
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces[-2:] = [torch.cat(pieces[-2:])]
    return pieces


def _unknown(value: Any, size: int | None) -> str:
    entries = "" if size is None else f" with {size} entries"
    return (
        "selection inside the mini-batch needs inputs and targets made of tensors, mappings, "
        f"tuples and lists{entries}, got {type(value).__name__}"
    )
