"""Losses of single examples against the task's own, and what a classifier gets right."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainables.toy_tasks import PointTask
from trainables.tasks.single_examples import example_losses
from trainables.tasks.tensors import TensorTask


def test_every_example_has_its_own_loss_in_order() -> None:
    task = PointTask(50)  # four batches of evaluation, the last one short; batch normalisation
    task.training_mode()
    losses, right = example_losses(task, "train")
    task.model.eval()
    with torch.no_grad():
        scores = task.model(task.points)
    expected = functional.cross_entropy(scores, task.labels, reduction="none")
    assert torch.allclose(losses, expected, atol=1e-6)
    assert right is not None
    assert torch.equal(right, scores.argmax(1) == task.labels)
    assert 0 < int(right.sum()) < 50


def test_the_pass_leaves_no_trace() -> None:
    task = PointTask()
    task.training_mode()
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    state = torch.random.get_rng_state()
    example_losses(task, "train")
    assert all(torch.equal(value, before[n]) for n, value in task.model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert task.model.training
    assert not task.head()._forward_hooks


def test_a_compiled_model_is_seen_too() -> None:
    task = PointTask()
    eager = example_losses(task, "train")
    task.model.compile(backend="eager")
    losses, right = example_losses(task, "train")
    assert torch.allclose(losses, eager[0])
    assert right is not None
    assert eager[1] is not None
    assert torch.equal(right, eager[1])


class Line(TensorTask):
    def losses_of(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).square().mean(1)


def test_a_regression_has_losses_alone() -> None:
    x = torch.arange(20.0)[:, None] / 20
    task = Line(nn.Linear(1, 1), (x, 2 * x), (x[:4], 2 * x[:4]), (x[:6], 2 * x[:6]))
    losses, right = example_losses(task, "test")
    assert losses.shape == (6,)
    assert right is None


def test_an_empty_split_has_no_rows() -> None:
    task = PointTask()
    task.split_labels = lambda split: torch.empty(0, dtype=torch.int64)  # type: ignore[method-assign]
    losses, _ = example_losses(task, "test")
    assert losses.shape == (0,)


def test_what_does_not_know_its_examples_says_so() -> None:
    class Unknown(PointTask):
        def split_labels(self, split: str) -> torch.Tensor:  # type: ignore[override]
            raise ValueError("names no labels")

    with pytest.raises(ValueError, match="names no labels"):
        example_losses(Unknown(), "test")
