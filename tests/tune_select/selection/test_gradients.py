from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tune_select.selection import Subset, gradient_error, gradient_sum, gradients, mean_gradient
from tune_select.testing import make_signals


@pytest.mark.parametrize("bias", [True, False])
def test_sum_is_what_autograd_finds(bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(5, 3, bias=bias, dtype=torch.float64)
    inputs = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (20,), generator=generator)
    weights = torch.rand(20, generator=generator, dtype=torch.float64)
    losses = nn.functional.cross_entropy(layer(inputs), labels, reduction="none")
    (weights * losses).sum().backward()
    outputs = layer(inputs).softmax(1) - nn.functional.one_hot(labels, 3)
    signals = gradients.Signals(labels, inputs, outputs.detach(), bias=bias)
    found = gradient_sum(signals, weights)
    assert layer.weight.grad is not None
    torch.testing.assert_close(found[:, :5], layer.weight.grad)
    if bias:
        assert layer.bias.grad is not None
        torch.testing.assert_close(found[:, 5], layer.bias.grad)


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = make_signals(50)
    indices = torch.tensor([3, 1, 40, 22, 17])
    weights = torch.tensor([1.0, 2.0, 0.5, 0.0, 1.5])
    whole = gradient_sum(signals), gradient_sum(signals, weights, indices)
    monkeypatch.setattr(gradients, "_BLOCK", 3)
    torch.testing.assert_close(gradient_sum(signals), whole[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        gradient_sum(signals, weights, indices), whole[1], rtol=1e-5, atol=1e-6
    )
    one_by_one = sum(
        (w * gradient_sum(signals.take(i[None])) for i, w in zip(indices, weights, strict=True)),
        torch.zeros(3, 6, dtype=torch.float64),
    )
    torch.testing.assert_close(whole[1], one_by_one, rtol=1e-5, atol=1e-6)


def test_error_of_everything_is_zero_and_of_a_part_as_defined() -> None:
    signals = make_signals(30)
    everything = Subset(torch.arange(30), torch.ones(30))
    assert gradient_error(signals, everything) < 1e-6
    part = Subset(torch.tensor([4, 9]), torch.tensor([0.5, 1.5]))
    one, two = (gradient_sum(signals.take(torch.tensor([i]))) for i in (4, 9))
    mean = mean_gradient(signals)
    expected = float((0.25 * one + 0.75 * two - mean).norm() / mean.norm())
    assert gradient_error(signals, part) == pytest.approx(expected, rel=1e-5)
    assert gradient_error(signals, part, mean=mean) == pytest.approx(expected, rel=1e-5)


def test_error_against_the_validation_mean() -> None:
    signals = make_signals(30)
    assert signals.validation is not None
    part = Subset(torch.arange(30), torch.ones(30))
    goal = gradient_sum(signals.validation) / len(signals.validation)
    expected = float((mean_gradient(signals) - goal).norm() / goal.norm())
    assert gradient_error(signals, part, match="validation") == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="validation split"):
        gradient_error(replace(signals, validation=None), part, match="validation")


def test_error_where_there_is_nothing_to_match() -> None:
    signals = make_signals(10)
    part = Subset(torch.tensor([0, 1]), torch.ones(2))
    signals.output_gradients.zero_()
    assert gradient_error(signals, part) == 0.0
    signals.output_gradients[0] = 1.0
    signals.output_gradients[5] = -1.0
    signals.inputs[5] = signals.inputs[0]
    assert gradient_error(signals, part) == float("inf")
