"""What tells one dataset from another, whatever its items are."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from tests.tune_select.loops.digits import SIZE, dataset
from tune_select.history import DatasetIdentity
from tune_select.history.fingerprint import fingerprint_of


def test_any_dataset_has_an_identity() -> None:
    first = DatasetIdentity.of(dataset())
    assert first == DatasetIdentity.of(dataset())
    assert (first.name, first.size) == ("TensorDataset", SIZE)
    others = [
        DatasetIdentity.of(dataset(seed=1)),
        DatasetIdentity.of(dataset(size=SIZE - 1)),
        DatasetIdentity.of(TensorDataset(*(t.flip(0) for t in dataset().tensors))),
        DatasetIdentity.of(dataset(), fingerprint="v2"),
    ]
    assert len({identity.fingerprint for identity in [first, *others]}) == 5


class Items:
    def __init__(self, item: Any) -> None:
        self.item = item

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return self.item(index) if callable(self.item) else self.item


def test_items_of_any_kind_are_digested() -> None:
    picture = Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    other = Image.fromarray(np.ones((4, 4, 3), np.uint8))
    items = [
        picture, other, "text", b"text", 1, 1.0, None, [1, 2], [[1], 2], {"a": 1}, {"a": 2},
        np.float32(1.5), np.zeros(3), np.zeros(3, np.float32), torch.zeros(3),
        torch.zeros(3, dtype=torch.bfloat16),
    ]  # fmt: skip
    found = [DatasetIdentity.of(Items(item)).fingerprint for item in items]
    # A tensor and an array of the same type and values are the same data.
    assert len(set(found)) == len(found) - 2
    random_one = Items(lambda i: torch.randn(2) + random.random())
    assert DatasetIdentity.of(random_one) == DatasetIdentity.of(random_one)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="another one when read again.*fingerprint="):
        DatasetIdentity.of(Items(lambda i: torch.randn(2, generator=generator)))
    with pytest.raises(ValueError, match="hold a object.*fingerprint="):
        DatasetIdentity.of(Items(object()))
    assert DatasetIdentity.of(Items(object()), fingerprint="mine").fingerprint == "mine"


@dataclasses.dataclass
class Scene:
    name: str
    boxes: list[int]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [2, 1]),
        (["ab", "c"], ["a", "bc"]),  # the same letters in other parts
        (Scene("x", [1]), Scene("x", [2])),
        (Scene("x", [1]), Scene("y", [1])),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]])),
        (np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)),
        (True, 1),
    ],
    ids=range(10),
)
def test_what_differs_anywhere_in_an_item_tells_datasets_apart(one: Any, other: Any) -> None:
    assert fingerprint_of([one, one]) == fingerprint_of([one, one])
    assert len({fingerprint_of(items) for items in ([one, one], [other, one], [one, other])}) == 3


def test_the_order_of_a_mappings_keys_is_none_of_its_content() -> None:
    assert fingerprint_of([{"a": 1, "b": 2}]) == fingerprint_of([{"b": 2, "a": 1}])


def test_ends_and_64_places_between_are_looked_at() -> None:
    class Read(Sequence[int]):
        def __init__(self, size: int) -> None:
            self.size, self.seen = size, []

        def __len__(self) -> int:
            return self.size

        def __getitem__(self, position: Any) -> Any:
            self.seen.append(position)
            return position

    long, short = Read(10_000), Read(10)
    fingerprint_of(long)
    fingerprint_of(short)
    places = sorted(set(long.seen))
    assert (len(places), places[0], places[-1]) == (64, 0, 9999)
    assert max(np.diff(places)) - min(np.diff(places)) <= 1
    assert len(long.seen) == 64 + 2, "the first two are read twice"
    assert sorted(set(short.seen)) == list(range(10))


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "list is empty"),
        (iter([1]), "list_iterator has no length.*map-style"),
        ({"train": [1], "test": [2]}, "dict holds train, test by name.*give one of these"),
        (pd.DataFrame({"x": [1], "y": [2]}), "DataFrame is a table whose items are columns"),
    ],
)
def test_what_has_no_positions_is_refused(items: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fingerprint_of(items)
