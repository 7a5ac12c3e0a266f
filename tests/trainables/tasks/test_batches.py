"""Parts of batches, and batches joined."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainables.tasks.batches import cuts, join, take, to_device
from trainables.tasks.task import Batch


def batch_of(start: int, size: int) -> Batch:
    """A batch with every kind of container; each value tells which example it belongs to."""
    numbers = torch.arange(start, start + size)
    inputs = {"ids": numbers.unsqueeze(1).repeat(1, 3), "pair": (numbers.float(), numbers * 10)}
    targets = [{"boxes": torch.full((2, 4), float(number))} for number in numbers]
    return Batch(numbers + 100, inputs, targets)


def check(batch: Batch, numbers: list[int]) -> None:
    expected = torch.tensor(numbers)
    assert torch.equal(batch.indices, expected + 100)
    assert torch.equal(batch.inputs["ids"], expected.unsqueeze(1).repeat(1, 3))
    assert torch.equal(batch.inputs["pair"][0], expected.float())
    assert torch.equal(batch.inputs["pair"][1], expected * 10)
    assert [float(target["boxes"][0, 0]) for target in batch.targets] == numbers


def test_take_and_join_keep_inputs_and_targets_together() -> None:
    first = take(batch_of(0, 6), torch.tensor([4, 0, 4]))
    check(first, [4, 0, 4])
    check(join([first, batch_of(6, 2)]), [4, 0, 4, 6, 7])
    check(join([first]), [4, 0, 4])
    check(take(batch_of(0, 3), torch.empty(0, dtype=torch.int64)), [])


@pytest.mark.parametrize("value", ["text", [1, 2, 3]])
def test_other_containers_are_refused(value: Any) -> None:
    batch = Batch(torch.arange(2), value, torch.ones(2))
    with pytest.raises(TypeError, match="made of tensors, mappings, tuples and lists"):
        take(batch, torch.tensor([0]))


def test_to_device_reaches_every_tensor() -> None:
    moved = to_device({"a": [torch.ones(2), (torch.ones(1), 5)]}, torch.device("meta"))
    assert moved["a"][0].device.type == moved["a"][1][0].device.type == "meta"
    assert moved["a"][1][1] == 5


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(7, 3, [3, 4]), (8, 3, [3, 3, 2]), (1, 3, [1]), (6, 3, [3, 3])]
)
def test_cuts_leave_no_single_example(count: int, size: int, lengths: list[int]) -> None:
    pieces = cuts(count, size)
    assert [len(piece) for piece in pieces] == lengths
    assert torch.cat(pieces).tolist() == list(range(count))
