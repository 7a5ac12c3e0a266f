from __future__ import annotations

import pytest
import torch

from tests.trainables.detection.test_task import make_task

pytestmark = pytest.mark.gpu


def test_signals_on_a_gpu_are_those_of_the_cpu_and_repeat_themselves() -> None:
    torch.backends.cudnn.deterministic = True
    expected = make_task().signals()
    task = make_task(device="cuda")
    signals = task.signals()
    assert signals.inputs.is_cuda
    # Convolutions round to TensorFloat-32 there.
    difference = (signals.inputs.cpu() - expected.inputs).norm(dim=1)
    assert (difference < 0.02 * expected.inputs.norm(dim=1)).all()
    assert torch.equal(task.signals().inputs, signals.inputs)


def test_evaluation_on_a_gpu_is_that_of_the_cpu() -> None:
    here, there = make_task().evaluate("test"), make_task(device="cuda").evaluate("test")
    assert there["loss"] == pytest.approx(here["loss"], rel=0.02)
    assert set(here) == set(there)


def test_losses_on_a_gpu_have_gradients() -> None:
    task = make_task(device="cuda")
    task.model.train()
    generator = torch.Generator("cuda").manual_seed(0)
    task.losses(task.batch(torch.arange(8), generator=generator)).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in task.model.parameters())
