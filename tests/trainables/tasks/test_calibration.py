"""Temperatures against brute force, and against cases whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from trainables.tasks.calibration import calibrated_loss, inverse_temperature

GRID = torch.logspace(-2, 2, 4001, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 40),
    classes=st.integers(2, 6),
    scale=st.floats(0.05, 30.0),
    signal=st.floats(-1.0, 3.0),
)
def test_no_temperature_of_a_fine_grid_is_better(
    seed: int, size: int, classes: int, scale: float, signal: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (size,), generator=generator)
    logits = torch.randn(size, classes, generator=generator)
    logits = scale * (logits + signal * functional.one_hot(labels, classes))
    scaled = GRID[:, None, None] * logits.double()
    losses = functional.cross_entropy(
        scaled.flatten(0, 1), labels.repeat(len(GRID)), reduction="none"
    )
    best = float(losses.view(len(GRID), size).mean(1).min())
    assert calibrated_loss(logits, labels) <= best + 1e-9


def test_an_overconfident_classifier_is_cooled_to_its_accuracy() -> None:
    """Right 3 times in 4 with equal logits: the best it can say is log-odds of 3."""
    logits = torch.tensor([[8.0, 0.0]] * 4)
    labels = torch.tensor([0, 0, 0, 1])
    assert inverse_temperature(logits, labels) == pytest.approx(math.log(3) / 8, rel=1e-6)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert calibrated_loss(logits, labels) == pytest.approx(entropy)


def test_calibration_does_not_depend_on_the_scale_of_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 4, generator=generator), torch.arange(50) % 4
    logits[range(50), labels] += 1.0
    first, second = calibrated_loss(logits, labels), calibrated_loss(7 * logits, labels)
    assert first == pytest.approx(second, rel=1e-6)


def test_what_cannot_be_improved_without_end_stops_at_the_bounds() -> None:
    right = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1])
    assert 10 < inverse_temperature(right, labels) <= 100
    assert calibrated_loss(right, labels) < 1e-12
    assert inverse_temperature(right, 1 - labels) == pytest.approx(0.01, rel=1e-3)
    assert calibrated_loss(torch.zeros(3, 4), torch.arange(3)) == pytest.approx(math.log(4))
