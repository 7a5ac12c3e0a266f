"""Rows that are other examples' are refused, in loops as people write them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import TensorDataset, default_collate

from tune_select.loops.alignment import CoupledLossWarning
from tune_select.loops.passes import Passes
from tune_select.selection import Signals, selector_named

SIZE, LENGTH = 30, 5


def drawn(*shape: int, below: int = 0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(below, shape, generator=generator) if below else (
        torch.randn(*shape, generator=generator))  # fmt: skip


POINTS = TensorDataset(drawn(SIZE, 6), drawn(SIZE, below=3))
WORDS = TensorDataset(drawn(SIZE, LENGTH, below=20), drawn(SIZE, LENGTH, below=4))


def classifier() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


class Tagger(nn.Module):
    """A class for each position; as recurrent layers do by default, with time first."""

    def __init__(self, *, batch_first: bool = False, flat: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.flat = flat
        self.words = nn.Embedding(20, 6)
        self.body = nn.GRU(6, 8, batch_first=batch_first)
        self.head = nn.Linear(8, 4)

    def forward(self, words: Tensor) -> Tensor:
        hidden = self.body(self.words(words))[0]
        outputs: Tensor = self.head(hidden.flatten(0, 1) if self.flat else hidden)
        return outputs


def collected(
    dataset: Any, model: nn.Module, loss: Callable[..., Tensor], size: int = 8, **given: Any
) -> Signals:
    passes = Passes(dataset, model, loss, batch_size=size, **given)
    return passes.signals(selector_named("gradmatch"))


def mean(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1])


def tags(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]).reshape(-1, 4), batch[1].reshape(-1))


def gradients(signals: Signals) -> Tensor:
    """Last-layer gradients without the bias, (n, ...)."""
    return signals.output_gradients[:, :, None] * signals.inputs[:, None]


# The same gradients, whatever a loss makes of its batch.


@pytest.mark.parametrize("size", [7, 8, 256])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_gradients_do_not_depend_on_how_a_loss_reduces(reduction: str, size: int) -> None:
    model = classifier()

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1], reduction=reduction)

    exact = collected(POINTS, model, lambda m, b: mean(m, b), size=1)
    torch.testing.assert_close(gradients(collected(POINTS, model, loss, size)), gradients(exact))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_a_sum_of_vectors_is_told_too(reduction: str) -> None:
    model = Tagger(batch_first=True)

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]).mT, batch[1], reduction=reduction)

    signals = collected(WORDS, model, loss, 7)
    exact = collected(WORDS, model, loss, 1)
    if reduction == "sum":  # one example's number is a sum of its positions, once divided by 1
        exact = collected(WORDS, model, lambda m, b: LENGTH * tags(m, b), 1)
    torch.testing.assert_close(signals.inputs, exact.inputs)


def test_several_values_of_one_example_are_averaged() -> None:
    targets = TensorDataset(POINTS.tensors[0], drawn(SIZE, 3, seed=3))

    def loss(model: nn.Module, batch: Any, reduction: str = "none") -> Tensor:
        return functional.mse_loss(model(batch[0]), batch[1], reduction=reduction)

    each = collected(targets, classifier(), loss)
    one = collected(targets, classifier(), nn.MSELoss())
    torch.testing.assert_close(each.output_gradients, one.output_gradients)
    assert len(each.losses) == SIZE


# What names other examples is refused.


def by_size(items: list[Any]) -> Any:
    return default_collate(sorted(items, key=lambda item: -float(item[0].float().norm())))


def without_some(items: list[Any]) -> Any:
    return default_collate([item for item in items if int(item[1]) != 1])


def time_first(items: list[Any]) -> Any:
    return [part.T.contiguous() for part in default_collate(items)]


@pytest.mark.parametrize(
    ("dataset", "model", "loss", "collate", "message"),
    [
        (POINTS, classifier, mean, by_size, "do not follow them .* keep the order of its items"),
        (POINTS, classifier, mean, without_some, "saw . rows for 8 examples: .*no example dropped"),
        (WORDS, Tagger, tags, time_first, "saw 5 rows for . examples"),
        (WORDS, lambda: Tagger(batch_first=True, flat=True), tags, None, "no positions flattened"),
    ],
    ids=["sorted", "dropped", "time first", "flattened"],
)
@pytest.mark.parametrize("size", [LENGTH, 16])
def test_rows_that_are_not_the_examples_are_refused(
    dataset: Any, model: Any, loss: Any, collate: Any, message: str, size: int
) -> None:
    with pytest.raises(ValueError, match=message):
        collected(dataset, model(), loss, size if collate is not without_some else 16,
                  collate_fn=collate)  # fmt: skip


def test_a_collate_function_may_take_items_apart() -> None:
    items = [{"x": x, "y": y} for x, y in POINTS]

    class Copies(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return SIZE

        def __getitem__(self, index: int) -> Any:
            return dict(items[index])

    def collate(given: list[Any]) -> Any:
        targets = torch.stack([item.pop("y") for item in given])
        return torch.stack([item["x"] for item in given]), targets

    signals = collected(Copies(), classifier(), mean, collate_fn=collate)
    assert torch.equal(signals.labels, POINTS.tensors[1])


# What is no fault.


def test_a_loss_that_draws_at_random_is_taken_as_it_is() -> None:
    signals = collected(POINTS, classifier(), lambda m, b: mean(m, (b[0] + torch.randn(6), b[1])))
    assert len(signals) == SIZE


def test_a_loss_that_compares_examples_is_taken_with_a_warning() -> None:
    def contrastive(model: nn.Module, batch: Any) -> Tensor:
        one, other = model(batch[0]), model(batch[0] + 0.1)
        return functional.cross_entropy(one @ other.T, torch.arange(len(one)))

    with pytest.warns(CoupledLossWarning, match="which others share its batch"):
        collected(POINTS, classifier(), contrastive)


def test_weights_of_classes_are_no_comparison() -> None:
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collected(POINTS, classifier(), weighted)
