"""Gram matrix and norms against autograd's own gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tune_select.selection.minibatch import BatchSignals, gradient_gram, gradient_norms


def autograd_case(loss: str, bias: bool, length: int | None) -> tuple[BatchSignals, Tensor]:
    """Signals of 16 examples and autograd's per-example gradients of the head's parameters."""
    torch.manual_seed(0)
    head = nn.Linear(6, 4, bias=bias)
    shape = (16,) if length is None else (16, length)
    inputs = torch.randn(*shape, 6)
    classes, values = torch.randint(4, shape), torch.randn(*shape, 4)
    outputs = head(inputs)
    if loss == "cross_entropy":
        elements = nn.functional.cross_entropy(outputs.movedim(-1, 1), classes, reduction="none")
    else:
        elements = (outputs - values).square().sum(-1)
    losses = elements if length is None else elements.mean(1)
    (output_gradients,) = torch.autograd.grad(losses.sum(), outputs, retain_graph=True)
    rows = []
    for one in losses:
        parts = torch.autograd.grad(one, list(head.parameters()), retain_graph=True)
        rows.append(torch.cat([part.flatten() for part in parts]))
    signals = BatchSignals(losses.detach(), inputs, output_gradients, bias=bias)
    return signals, torch.stack(rows)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("length", [None, 1, 2, 12])  # 2: by pairs; 12: by the gradients
def test_gram_and_norms_equal_autograd(loss: str, bias: bool, length: int | None) -> None:
    signals, gradients = autograd_case(loss, bias, length)
    expected = gradients @ gradients.T
    torch.testing.assert_close(gradient_gram(signals), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient_norms(signals), gradients.norm(dim=1), rtol=1e-5, atol=1e-5)


def test_both_ways_of_summing_sequences_are_exercised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunked way gives the same in one chunk and in many."""
    signals, _ = autograd_case("cross_entropy", True, 12)
    one = gradient_gram(signals)
    monkeypatch.setattr(
        "tune_select.selection.minibatch.last_layer._CHUNK_ELEMENTS", 16 * 6
    )  # a single output at a time
    torch.testing.assert_close(gradient_gram(signals), one)


@pytest.mark.parametrize(
    ("inputs", "output_gradients", "message"),
    [
        (torch.ones(4, 0), torch.ones(4, 0), "linear head"),
        (torch.ones(4, 3), torch.ones(5, 2), "must agree"),
        (torch.ones(3, 3), torch.ones(3, 2), "must agree"),
        (torch.ones(4, 2, 2, 3), torch.ones(4, 2, 2, 2), "flatten"),
        (torch.ones(4, 3), torch.full((4, 2), torch.nan), "NaN"),
    ],
)
def test_shapes_that_do_not_fit(inputs: Tensor, output_gradients: Tensor, message: str) -> None:
    signals = BatchSignals(torch.ones(4), inputs, output_gradients)
    with pytest.raises(ValueError, match=message):
        gradient_gram(signals)
