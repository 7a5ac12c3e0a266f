"""Signals against gradients that PyTorch computes the long way."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainables.toy_tasks import PointTask
from trainables.arms.selecting import signals_for
from trainables.tasks.task import Batch, Task
from trainables.tasks.tensors import TensorTask
from tune_select.selection import GradMatch, Random
from tune_select.selection.heads.capture import capture_head


def test_signals_factorise_each_examples_own_gradient() -> None:
    task = PointTask(20)
    signals = task.signals()
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
    whole = task.signals()
    task.eval_batch_size = 7
    cut = task.signals()
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
    signals = task.signals()
    task.model.eval()
    logits = task.model(task.points)
    logits.retain_grad()
    functional.multi_margin_loss(logits, task.labels, reduction="sum").backward()
    torch.testing.assert_close(signals.output_gradients, logits.grad)


def test_losses_alone_are_those_of_evaluation_mode() -> None:
    task = PointTask()
    signals = task.signals("validation", gradients=False)
    assert signals.inputs.shape == (12, 0)
    task.model.eval()
    torch.testing.assert_close(signals.losses, task.losses(task.batch(torch.arange(12))))


def test_collecting_leaves_the_model_as_it_was() -> None:
    task = PointTask()
    task.model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    task.model.train()
    task.signals()
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


class Found(PointTask):
    """A task that names no head of its own."""

    head = Task.head


def test_sequences_are_given_as_whole_gradients() -> None:
    class Sequences(Found):
        def losses(self, batch: Batch) -> torch.Tensor:
            return self.model(batch.inputs[:, None, :] * torch.ones(2, 1)).square().mean((1, 2))

    task = Sequences(8)
    task.model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    signals = task.signals()
    assert signals.output_gradients.shape == (8, 1)
    weights = list(task.model[1].parameters())
    rows = [
        torch.autograd.grad(task.losses(task.batch(torch.tensor([i]))).sum(), weights)
        for i in range(8)
    ]
    exact = torch.stack([torch.cat([w, b[:, None]], dim=1).flatten() for w, b in rows])
    torch.testing.assert_close(signals.inputs, exact)


class Gated(nn.Module):
    """Its head is registered first, a gate last."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body, self.gate = nn.Linear(8, 3), nn.Linear(5, 8), nn.Linear(5, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x) * self.gate(x).sigmoid())


def test_the_head_is_found_by_what_runs_last_and_only_once() -> None:
    task = Found(20)
    task.model = Gated()
    assert task.head() is task.model.head
    passes = []
    task.model.register_forward_hook(lambda *_: passes.append(1))
    task.signals()
    assert len(passes) == 2  # of 16 and 4 examples
    task.head_name = "body"
    assert task.head() is task.model.head  # found before
    other = Found(20)
    other.model, other.head_name = task.model, "body"
    assert other.head() is task.model.body


def test_a_model_without_a_layer_trains_where_no_gradients_are_needed() -> None:
    class Threshold(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :3] * self.scale

    task = TensorTask(Threshold(), (torch.randn(9, 3), torch.arange(9) % 3))
    assert len(signals_for(Random(), task)) == 9
    with pytest.raises(ValueError, match=r"no torch\.nn\.Linear"):
        signals_for(GradMatch(), task)


def test_mixed_precision_rounds_the_model_but_not_the_gradients() -> None:
    task = PointTask(30)
    exact = task.signals()
    task.amp_dtype = torch.bfloat16
    rounded = task.signals()
    assert rounded.output_gradients.dtype == torch.float32
    torch.testing.assert_close(
        rounded.output_gradients, exact.output_gradients, atol=0.02, rtol=0.02
    )
    # A gradient of softmax cross-entropy sums to zero: in bfloat16 it would miss by 1e-3.
    assert float(rounded.output_gradients.sum(1).abs().max()) < 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_head_is_found_under_mixed_precision(dtype: torch.dtype) -> None:
    def task() -> TensorTask:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3))
        return TensorTask(model, (torch.randn(9, 3), torch.arange(9) % 3))

    mixed = task()
    mixed.amp_dtype = dtype  # before anything has looked for the head, as a trial does
    found, exact = mixed.signals(), task().signals()
    for one, other in (
        (found.inputs, exact.inputs),  # these come in half precision
        (found.output_gradients, exact.output_gradients),
    ):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0.02)


def test_a_head_that_sees_other_rows_than_the_examples_is_refused() -> None:
    class Doubled(PointTask):
        def head_signals(
            self, inputs: torch.Tensor, output_gradients: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, bool]:
            return inputs.repeat(2, 1), output_gradients.repeat(2, 1), True

    with pytest.raises(ValueError, match=r"shape \(32, 8\) for 16 examples.*head_signals"):
        Doubled(20).signals()
