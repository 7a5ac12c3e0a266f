"""What is added up in double precision goes to the CPU where the device has none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.tune_select.selection.heads.single_precision import OnMps, moved, on_mps
from tune_select.selection import GradMatch
from tune_select.selection.heads.collect import collect_signals
from tune_select.selection.heads.precision import double, with_doubles


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def batches() -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    return [(torch.randn(8, 6), torch.arange(8) % 3) for _ in range(3)]


def test_the_stand_in_refuses_what_an_apple_gpu_refuses() -> None:
    there = on_mps(torch.ones(2))
    assert isinstance(there + 1, OnMps)
    for refused in (lambda: there.double(), lambda: there.to(torch.float64)):
        with pytest.raises(TypeError, match="MPS"):
            refused()


def test_numbers_stay_where_they_are_if_they_can() -> None:
    here = torch.ones(2)
    assert with_doubles(here) is here
    assert double(on_mps(here)).dtype == torch.float64
    assert type(with_doubles(on_mps(here))) is Tensor


def test_signals_of_a_model_there_are_those_of_one_here() -> None:
    here = collect_signals(model(), batches(), functional.cross_entropy)
    there = collect_signals(
        moved(model()), [on_mps(batch) for batch in batches()], functional.cross_entropy
    )
    for name in ("inputs", "output_gradients", "labels", "losses"):
        found = getattr(there, name)
        assert type(found) is Tensor, name
        torch.testing.assert_close(found, getattr(here, name))
    assert there.class_outputs == here.class_outputs
    subset = GradMatch().select(there, 6, torch.Generator().manual_seed(0))
    expected = GradMatch().select(here, 6, torch.Generator().manual_seed(0))
    assert subset.indices.tolist() == expected.indices.tolist()
