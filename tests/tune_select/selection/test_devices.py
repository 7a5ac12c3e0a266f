"""Selections on a GPU are those of the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tune_select.selection import ForgettingEvents, Signals, selector_named
from tune_select.testing import make_signals

pytestmark = pytest.mark.gpu

SELECTORS: list[tuple[str, dict[str, Any]]] = [
    ("random", {}),
    ("random_pb", {"batch_size": 8}),
    ("gradmatch", {}),
    ("gradmatch", {"match": "validation", "mass": 0.0}),
    ("gradmatch_whole", {}),
    ("gradmatch_outputs", {}),
    ("gradmatch_all", {}),
    ("gradmatch_pb", {"batch_size": 8}),
    ("craig", {}),
    ("craig_pb", {"batch_size": 8}),
    ("facility_location", {}),
    ("entropy", {}),
    ("forgetting", {"record": ForgettingEvents(400)}),
    ("glister", {}),
    ("glister", {"regularizer": "diversity"}),
]


def on(signals: Signals, device: str) -> Signals:
    """Double precision, so that rounding does not decide between candidates."""
    moved = replace(
        signals,
        labels=signals.labels.to(device),
        inputs=signals.inputs.double().to(device),
        output_gradients=signals.output_gradients.double().to(device),
        losses=signals.losses.to(device),
        validation=None,
    )
    if signals.validation is not None:
        return moved.with_validation(on(signals.validation, device))
    return moved


@pytest.mark.parametrize(("name", "settings"), SELECTORS, ids=str)
def test_same_subset_on_both(name: str, settings: dict[str, Any]) -> None:
    signals = make_signals(400, classes=5, dimension=12, validation=60)
    here, there = (
        selector_named(name, **settings).select(
            on(signals, device), 100, torch.Generator().manual_seed(0)
        )
        for device in ("cpu", "cuda")
    )
    weights = [
        torch.zeros(400).index_put((subset.indices,), subset.weights) for subset in (here, there)
    ]
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-5)
    assert there.indices.device.type == there.weights.device.type == "cpu"
