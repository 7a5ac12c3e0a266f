"""Gradient matching, and the order of gradient errors of Balles et al., Fig. 3."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from tune_select.selection.minibatch import (
    SELECTOR_NAMES,
    BatchSignals,
    BigLoss,
    GradientMatching,
    MiniBatchSelector,
    Uniform,
    selector_named,
)
from tune_select.testing.minibatch_selectors import make_batch_signals


def batch_gradients(signals: BatchSignals) -> Tensor:
    """Last-layer gradients (M, C (D + 1)), materialised."""
    ones = torch.ones(len(signals), 1)
    inputs = torch.cat([signals.inputs, ones], 1)
    return (signals.output_gradients.unsqueeze(2) * inputs.unsqueeze(1)).flatten(1)


def test_direction_is_nearer_than_that_of_any_uniform_draw() -> None:
    """The direction, as normalised weights give up the length where gradients nearly cancel."""
    signals = make_batch_signals(64)  # gradients of 18 dimensions
    gradients = batch_gradients(signals)
    generator = torch.Generator().manual_seed(0)

    def cosine(selector: MiniBatchSelector) -> float:
        choice = selector.choose(signals, 12, generator)
        estimate = choice.weights @ gradients[choice.positions]
        return float(torch.cosine_similarity(estimate, gradients.mean(0), dim=0))

    assert cosine(GradientMatching()) > max(cosine(Uniform()) for _ in range(50))


def test_duplicates_are_chosen_once() -> None:
    """The point of matching: of near duplicates one is enough, with a larger weight."""
    signals = make_batch_signals(12, classes=10, dimension=20)
    order = torch.tensor([*range(12), 0, 0, 0, 0])
    signals = BatchSignals(
        signals.losses[order], signals.inputs[order], signals.output_gradients[order]
    )
    choice = GradientMatching().choose(signals, 12, torch.Generator())
    copies = [w for p, w in zip(order[choice.positions], choice.weights, strict=True) if p == 0]
    assert sum(float(w) > 0 for w in copies) == 1
    assert float(max(copies)) > 2 * float(choice.weights.median())


@pytest.mark.parametrize("scale", [1e-18, 1e-8, 1e8])
def test_the_scale_of_the_gradients_does_not_matter(scale: float) -> None:
    signals = make_batch_signals(40)
    scaled = replace(signals, output_gradients=signals.output_gradients * scale)
    first, second = (GradientMatching().choose(s, 12, torch.Generator()) for s in (signals, scaled))
    assert torch.equal(first.positions, second.positions)
    torch.testing.assert_close(first.weights, second.weights, rtol=1e-3, atol=1e-3)


def network_gradients(seed: int, inputs: Tensor, labels: Tensor) -> tuple[BatchSignals, Tensor]:
    """Signals and gradients of all parameters, one row per example, at a random initialisation."""
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU())
    head = nn.Linear(32, 10)

    def loss(parameters: dict[str, Tensor], example: Tensor, label: Tensor) -> Tensor:
        model = nn.Sequential(body, head)
        output = torch.func.functional_call(model, parameters, (example,))
        return nn.functional.cross_entropy(output, label)

    parameters = {k: v.detach() for k, v in nn.Sequential(body, head).named_parameters()}
    rows = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(parameters, inputs, labels)
    gradients = torch.cat([row.flatten(1) for row in rows.values()], 1)
    with torch.no_grad():
        hidden = body(inputs)
        logits = head(hidden)
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        output_gradients = logits.softmax(1) - nn.functional.one_hot(labels, 10)
    return BatchSignals(losses, hidden, output_gradients), gradients


def squared_errors(
    selector: MiniBatchSelector, signals: BatchSignals, gradients: Tensor, batches: int = 60
) -> Tensor:
    """Squared distances to the full-data gradient of batches of 128, of which 38 are chosen."""
    generator, order = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    full, errors = gradients.mean(0), []
    for _ in range(batches):
        batch = torch.randperm(len(signals), generator=order)[:128]
        part = BatchSignals(
            signals.losses[batch], signals.inputs[batch], signals.output_gradients[batch]
        )
        choice = selector.choose(part, 38, generator)
        estimate = choice.weights @ gradients[batch[choice.positions]] / choice.weights.sum()
        errors.append((estimate - full).square().sum())
    return torch.stack(errors)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradient_errors_are_ordered_as_in_figure_3(seed: int) -> None:
    """At a random initialisation, on real digits: matching < uniform < big loss."""
    digits = load_digits()
    inputs = torch.tensor(digits.data, dtype=torch.float32) / 16
    signals, gradients = network_gradients(seed, inputs, torch.tensor(digits.target))
    matching, uniform, big = (
        squared_errors(selector, signals, gradients).mean()
        for selector in (GradientMatching(), Uniform(), BigLoss())
    )
    assert matching < 0.8 * uniform
    assert big > 1.2 * uniform


@pytest.mark.parametrize("name", sorted({*SELECTOR_NAMES} - {"selective_backprop"}))
def test_no_value_is_asked_for_on_a_device(name: str) -> None:
    """Tensors without values: whatever would wait for one raises, on a machine without a GPU too.

    Selective-Backprop chooses any number of examples, which the host must learn.
    """
    cpu = make_batch_signals(64)
    signals = BatchSignals(*(t.to("meta") for t in (cpu.losses, cpu.inputs, cpu.output_gradients)))
    selector, generator = selector_named(name), torch.Generator().manual_seed(0)
    for _ in range(3):
        choice = selector.choose(signals, 20, generator)
        assert choice.positions.shape == choice.weights.shape == (20,)
        assert choice.positions.device == choice.weights.device == torch.device("meta")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["gradient_matching", "big_loss", "ada_selection"])
def test_the_host_never_waits_for_the_device(name: str) -> None:
    cpu = make_batch_signals(64)
    signals = BatchSignals(*(t.cuda() for t in (cpu.losses, cpu.inputs, cpu.output_gradients)))
    selector, generator = selector_named(name), torch.Generator("cuda").manual_seed(0)
    selector.choose(signals, 20, generator)  # libraries and method weights reach the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        selector.choose(signals, 20, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
