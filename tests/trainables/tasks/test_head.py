"""Signals against gradients that PyTorch computes the long way."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainables.toy_tasks import PointTask
from trainables.tasks.head import capture_head
from trainables.tasks.task import Batch, collect_signals


def test_signals_factorise_each_examples_own_gradient() -> None:
    task = PointTask(20)
    signals = collect_signals(task)
    task.model.eval()
    head = task.head()
    for index in range(20):
        batch = task.batch(torch.tensor([index]))
        weight, bias = torch.autograd.grad(task.losses(batch).sum(), [head.weight, head.bias])
        outer = torch.outer(signals.output_gradients[index], signals.inputs[index])
        torch.testing.assert_close(outer, weight)
        torch.testing.assert_close(signals.output_gradients[index], bias)
    assert signals.bias
    assert torch.equal(signals.labels, task.labels)


def test_signals_do_not_depend_on_how_the_pass_is_cut() -> None:
    task = PointTask(50)
    whole = collect_signals(task)
    task.eval_batch_size = 7
    cut = collect_signals(task)
    torch.testing.assert_close(cut.inputs, whole.inputs)
    torch.testing.assert_close(cut.output_gradients, whole.output_gradients)
    torch.testing.assert_close(cut.losses, whole.losses)


def test_signals_serve_any_per_example_loss() -> None:
    class Margin(PointTask):
        def losses(self, batch: Batch) -> torch.Tensor:
            return functional.multi_margin_loss(
                self.model(batch.inputs), batch.targets, reduction="none"
            )

    task = Margin(12)
    signals = collect_signals(task)
    task.model.eval()
    logits = task.model(task.points)
    logits.retain_grad()
    functional.multi_margin_loss(logits, task.labels, reduction="sum").backward()
    torch.testing.assert_close(signals.output_gradients, logits.grad)


def test_losses_alone_are_those_of_evaluation_mode() -> None:
    task = PointTask()
    signals = collect_signals(task, "validation", gradients=False)
    assert signals.inputs.shape == (12, 0)
    task.model.eval()
    torch.testing.assert_close(signals.losses, task.losses(task.batch(torch.arange(12))))


def test_collecting_leaves_the_model_as_it_was() -> None:
    task = PointTask()
    task.model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    task.model.train()
    collect_signals(task)
    assert task.model.training
    assert [p.requires_grad for p in task.model.parameters()] == [False, *[True] * 5]
    assert all(p.grad is None for p in task.model.parameters())
    for name, value in task.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert task.losses(task.batch(torch.arange(4))).requires_grad


def test_capture_builds_no_graph_of_the_body() -> None:
    task = PointTask()
    with capture_head(task.model, task.head()) as capture:
        losses = task.losses(task.batch(torch.arange(6)))
        assert capture.outputs.is_leaf
        assert not capture.inputs.requires_grad
        gradients = capture.gradients(losses)
    assert gradients.shape == (6, 3)


def test_sequences_are_refused_with_the_remedy() -> None:
    class Sequences(PointTask):
        def losses(self, batch: Batch) -> torch.Tensor:
            return self.model(batch.inputs[:, None]).mean((1, 2))

    task = Sequences(8)
    task.model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"override Sequences\.head_signals"):
        collect_signals(task)


def test_mixed_precision_rounds_the_model_but_not_the_gradients() -> None:
    task = PointTask(30)
    exact = collect_signals(task)
    task.amp_dtype = torch.bfloat16
    rounded = collect_signals(task)
    assert rounded.output_gradients.dtype == torch.float32
    torch.testing.assert_close(
        rounded.output_gradients, exact.output_gradients, atol=0.02, rtol=0.02
    )
    # A gradient of softmax cross-entropy sums to zero: in bfloat16 it would miss by 1e-3.
    assert float(rounded.output_gradients.sum(1).abs().max()) < 1e-6
