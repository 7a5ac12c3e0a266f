"""Sums of batches' gradients, and coordinates that keep their inner products."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tune_select.selection import Craig, GradMatch, PerBatch, Selector, Signals, gradient_sum
from tune_select.selection import batch_gradients as module
from tune_select.selection.batch_gradients import batch_sums, batch_vectors
from tune_select.testing import SelectorConformance, make_signals


def _deal(n: int, size: int) -> list[Tensor]:
    return list(torch.randperm(n, generator=torch.Generator().manual_seed(1)).split(size))


@pytest.fixture
def _gram_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the gradients were too many to hold, with chunks of two outputs."""
    monkeypatch.setattr(module, "_DIRECT_VALUES", 0)
    monkeypatch.setattr(module, "_CHUNK_VALUES", 700)


@pytest.mark.parametrize("bias", [True, False])
def test_sums_are_those_of_the_gradients(bias: bool) -> None:
    drawn = make_signals(50, classes=4, dimension=6)
    signals = Signals(drawn.labels, drawn.inputs, drawn.output_gradients, bias)
    batches = _deal(50, 8)  # the last has two
    expected = [gradient_sum(signals, indices=batch)[1:3].flatten() for batch in batches]
    found = batch_sums(signals, batches, slice(1, 3))
    torch.testing.assert_close(found.double(), torch.stack(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("_gram_form")
@pytest.mark.parametrize("with_extra", [True, False])
def test_coordinates_keep_every_inner_product(with_extra: bool) -> None:
    signals = make_signals(300, classes=5, dimension=40)
    batches = _deal(300, 8)
    extra = torch.randn(5 * 41, generator=torch.Generator().manual_seed(2)) if with_extra else None
    direct = batch_sums(signals, batches, slice(0, 5)).double()
    if extra is not None:
        direct = torch.cat([direct, extra.double()[None]])
    found = batch_vectors(signals, batches, extra)
    assert found.shape == (len(direct), len(direct))
    assert len(direct) < direct.shape[1]
    gram = found.double() @ found.double().T
    error = (gram - direct @ direct.T).norm() / (direct @ direct.T).norm()
    assert float(error) < 1e-6


@pytest.mark.usefixtures("_gram_form")
def test_batches_that_repeat_each_other_and_batches_of_no_gradient() -> None:
    drawn = make_signals(8, classes=5, dimension=40)
    twice = drawn.take(torch.arange(16) % 8)
    batches = list(torch.arange(16).split(4))
    found = batch_vectors(twice, batches, None)
    assert float((found[0] - found[2]).norm() / found[0].norm()) < 1e-2  # but for the jitter
    twice.output_gradients.zero_()
    assert not batch_vectors(twice, batches, None).any()


@pytest.mark.parametrize(
    "inner", [GradMatch(), GradMatch(mass=0.0), GradMatch(match="validation"), Craig()], ids=repr
)
def test_the_same_batches_are_chosen_either_way(
    inner: Selector, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = make_signals(480, classes=5, dimension=40)
    selector = PerBatch(inner, batch_size=8)
    direct = selector.select(signals, 80, torch.Generator().manual_seed(0))
    monkeypatch.setattr(module, "_DIRECT_VALUES", 0)
    monkeypatch.setattr(module, "_CHUNK_VALUES", 700)
    kept = selector.select(signals, 80, torch.Generator().manual_seed(0))
    assert kept.indices.tolist() == direct.indices.tolist()
    torch.testing.assert_close(kept.weights, direct.weights, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("_gram_form")
class TestPerBatchGradMatchOfInnerProducts(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return PerBatch(GradMatch(match="validation"), batch_size=4)
