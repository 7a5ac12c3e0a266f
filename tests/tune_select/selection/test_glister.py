from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tune_select.selection import Glister, Random, Selector, Signals
from tune_select.selection.glister import _Validation
from tune_select.testing import SelectorConformance, make_signals


class TestGlister(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return Glister()


class TestGlisterRandom(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return Glister(regularizer="random", rounds=2)


class TestGlisterDiversity(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return Glister(regularizer="diversity", rounds=3)


def layer_and_signals(seed: int) -> tuple[nn.Linear, Signals, torch.Tensor]:
    """A last layer with what it makes of training and validation features."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(6, 4)
    nn.init.normal_(layer.weight, generator=generator)
    nn.init.normal_(layer.bias, generator=generator)

    def draw(n: int) -> tuple[Signals, torch.Tensor]:
        inputs = torch.randn(n, 6, generator=generator)
        labels = torch.randint(4, (n,), generator=generator)
        with torch.no_grad():
            outputs = layer(inputs).softmax(1) - nn.functional.one_hot(labels, 4)
        return Signals(labels, inputs, outputs), labels

    train, _ = draw(80)
    validation, labels = draw(40)
    return layer, replace(train, validation=validation), labels


def validation_loss(layer: nn.Linear, signals: Signals, step: torch.Tensor) -> torch.Tensor:
    """Loss after ``step`` (C, D + 1) is subtracted from the layer, by PyTorch itself."""
    assert signals.validation is not None
    weight, bias = layer.weight.double() - step[:, :-1], layer.bias.double() - step[:, -1]
    logits = signals.validation.inputs.double() @ weight.T + bias
    return nn.functional.cross_entropy(logits, signals.validation.labels)


def test_validation_gradient_follows_the_moved_layer() -> None:
    layer, signals, _ = layer_and_signals(0)
    assert signals.validation is not None
    moved = 0.3 * torch.randn(4, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    point = moved.clone().requires_grad_()
    (expected,) = torch.autograd.grad(validation_loss(layer, signals, point), point)
    found = _Validation(signals.validation).gradient(moved)
    torch.testing.assert_close(found, -expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_choice_lowers_the_validation_loss_more_than_random(seed: int) -> None:
    layer, signals, _ = layer_and_signals(seed)
    generator = torch.Generator().manual_seed(seed)

    def after_step(subset_indices: torch.Tensor) -> float:
        outputs = signals.output_gradients[subset_indices]
        inputs = torch.cat([signals.inputs, torch.ones(80, 1)], 1)[subset_indices]
        step = (0.05 * outputs.T @ inputs / 20).double()
        return float(validation_loss(layer, signals, step).detach())

    chosen = after_step(Glister().select(signals, 20, generator).indices)
    random = [after_step(Random().select(signals, 20, generator).indices) for _ in range(5)]
    assert chosen < min(random)


def test_what_the_choice_has_taught_gains_nothing_more() -> None:
    """An untrained layer's first gains are those of one class; later rounds take the others."""
    generator = torch.Generator().manual_seed(0)

    def draw(counts: list[int]) -> Signals:
        labels = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
        noise = torch.randn(len(labels), 6, generator=generator)
        inputs = 3 * nn.functional.one_hot(labels, 6) + 0.3 * noise
        return Signals(labels, inputs, 0.25 - nn.functional.one_hot(labels, 4))

    signals = replace(draw([100] * 4), validation=draw([25, 10, 10, 10]))
    chosen = Glister(epsilon=1e-6).select(signals, 120, torch.Generator()).indices
    first = Glister(epsilon=1e-6, rounds=1).select(signals, 4, torch.Generator()).indices
    assert set(signals.labels[first].tolist()) == {0}
    assert signals.labels[chosen].bincount(minlength=4).min() >= 15


def test_one_pick_out_of_everything_is_the_largest_gain() -> None:
    _, signals, _ = layer_and_signals(7)
    assert signals.validation is not None
    gradient = _Validation(signals.validation).gradient(torch.zeros(4, 7, dtype=torch.float64))
    inputs = torch.cat([signals.inputs, torch.ones(80, 1)], 1).double()
    gains = ((inputs @ gradient.T) * signals.output_gradients).sum(1)
    chosen = Glister(epsilon=1e-9).select(signals, 1, torch.Generator())
    assert chosen.indices.tolist() == [int(gains.argmax())]


def test_a_share_at_random() -> None:
    """With strength 1 nothing but the generator decides."""
    first, second = make_signals(60, seed=0), make_signals(60, seed=1)
    selector = Glister(regularizer="random", strength=1.0)
    one, two = (
        selector.select(each, 20, torch.Generator().manual_seed(5)).indices.tolist()
        for each in (first, second)
    )
    assert one == two


def test_diversity_spreads_over_clusters() -> None:
    """All the validation gain is in one cluster of features; diversity leaves it."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(4).repeat_interleave(25, 0) * 10
    inputs = centres + 0.1 * torch.randn(100, 4, generator=generator)
    labels = torch.zeros(100, dtype=torch.int64)
    outputs = torch.tensor([[-0.5, 0.5]]).repeat(100, 1)
    validation = Signals(labels[:10], inputs[:10], outputs[:10])
    signals = Signals(labels, inputs, outputs, validation=validation)
    plain = Glister(epsilon=1e-6).select(signals, 8, torch.Generator()).indices // 25
    diverse = (
        Glister(epsilon=1e-6, rounds=8, regularizer="diversity", strength=0.95)
        .select(signals, 8, torch.Generator())
        .indices
        // 25
    )
    assert set(plain.tolist()) == {0}
    assert set(diverse.tolist()) == {0, 1, 2, 3}


def test_needs_a_validation_split() -> None:
    with pytest.raises(ValueError, match="validation split"):
        Glister().select(make_signals(30, validation=0), 6, torch.Generator())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"rounds": 0}, "rounds"),
        ({"epsilon": 1.5}, "epsilon"),
        ({"regularizer": "facility"}, "regularizer"),
        ({"strength": -0.1}, "strength"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Glister(**settings)  # type: ignore[arg-type]
