"""Which of a batch's entries are the classes, and whether outputs are their scores."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tune_select.selection.heads.labels import LabelColumns, are_class_scores, classes

SIZE = 12


def numbers(below: int, seed: int) -> Tensor:
    return torch.randint(below, (SIZE,), generator=torch.Generator().manual_seed(seed))


INPUTS = torch.randn(SIZE, 3, generator=torch.Generator().manual_seed(0))
CLASSES = numbers(3, 1)
OTHER = numbers(3, 2)
P = INPUTS.softmax(1) - functional.one_hot(CLASSES, 3)

Named = namedtuple("Named", "x kind label")


@dataclass
class Held:
    x: Tensor
    y: Tensor


def found(batch: Any, p: Tensor | None = None) -> Tensor:
    columns = LabelColumns()
    columns.add(batch, SIZE)
    return columns.classes(p)


@pytest.mark.parametrize(
    "batch",
    [
        (INPUTS, CLASSES),
        (INPUTS, INPUTS, CLASSES),
        (INPUTS, CLASSES, INPUTS[:, 0]),
        (INPUTS, CLASSES, torch.arange(SIZE)),
        (INPUTS, functional.one_hot(CLASSES, 3).float()),
        {"kind": OTHER, "x": INPUTS, "labels": CLASSES},
        Named(INPUTS, OTHER, CLASSES),
        Held(INPUTS, CLASSES),
        SimpleNamespace(x=INPUTS, targets=CLASSES),
    ],
    ids=["pair", "two inputs", "weights", "positions", "one-hot", "mapping", "named", "dataclass",
         "object"],
)  # fmt: skip
def test_the_classes_are_found(batch: Any) -> None:
    assert torch.equal(found(batch), CLASSES)


@pytest.mark.parametrize("batch", [INPUTS, (INPUTS,), (INPUTS, INPUTS[:, 0]), {"x": INPUTS}, "ab"])
def test_without_classes_all_are_zero(batch: Any) -> None:
    assert torch.equal(found(batch), torch.zeros(SIZE, dtype=torch.int64))


def test_of_two_columns_the_gradients_tell_the_classes_or_nothing_does() -> None:
    assert torch.equal(found((INPUTS, OTHER, CLASSES), P), CLASSES)
    assert torch.equal(found((INPUTS, CLASSES, OTHER), P), CLASSES)
    for p in (None, P[:, :1], INPUTS):
        with pytest.raises(ValueError, match=r"entry 2 and in entry 3.*give labels="):
            found((INPUTS, OTHER, CLASSES), p)


def test_targets_that_are_one_hot_in_one_batch_alone_are_no_classes() -> None:
    columns = LabelColumns()
    columns.add((INPUTS[:2], torch.eye(3)[:2]), 2)
    columns.add((INPUTS[:2], torch.ones(2, 3)), 2)
    assert columns.classes().tolist() == [0] * 4


@given(st.integers(2, 6), st.integers(0, 1000), st.sampled_from(["softmax", "sigmoid", "margin"]))
def test_losses_of_class_scores_are_known_by_their_gradients(
    count: int, seed: int, kind: str
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(40, count, generator=generator, requires_grad=True)
    labels = torch.randint(count, (40,), generator=generator)
    hot = functional.one_hot(labels, count).float()
    loss = {
        "softmax": lambda: functional.cross_entropy(scores, labels, reduction="sum"),
        "sigmoid": lambda: functional.binary_cross_entropy_with_logits(
            scores, hot, reduction="sum"
        ),
        "margin": lambda: functional.multi_margin_loss(scores, labels, reduction="sum"),
    }[kind]()
    (p,) = torch.autograd.grad(loss, scores)
    assert are_class_scores(labels, p)
    assert not are_class_scores(labels + 1, p)  # one is no output
    assert not are_class_scores(labels, -p)
    assert not are_class_scores(labels - 100, p)  # ignored positions


def test_an_embedding_or_a_reconstruction_is_no_score() -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(200, 16, generator=generator)
    assert not are_class_scores(torch.randint(10, (200,), generator=generator), p)


def test_labels_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="whole numbers, one for each example, got a list of str"):
        classes(["cat", "dog"], 2)
