"""The selection pass measures, and leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.arms.selection_pass import SelectionPass
from trainables.tasks.task import Batch, Split, Task


class Images(Task):
    """Random images through a small network with batch normalisation and dropout."""

    def __init__(self, dropout: float = 0.0, head: bool = True) -> None:
        torch.manual_seed(0)
        self.device = torch.device("cpu")
        layers: list[nn.Module] = [
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
        ]
        self.model = nn.Sequential(*layers, nn.Linear(4, 3) if head else nn.Conv1d(4, 3, 1))
        self.labels = torch.randint(3, (64,))
        self.images = torch.randn(64, 1, 8, 8)
        self.seen: list[torch.Size] = []

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        return Batch(indices, self.images[indices], self.labels[indices])

    def losses(self, batch: Batch) -> Tensor:
        self.seen.append(batch.inputs.shape)
        return functional.cross_entropy(self.model(batch.inputs), batch.targets, reduction="none")

    def evaluate(self, split: Split) -> dict[str, float]:
        return {}

    def head(self) -> nn.Linear:
        last = self.model[-1]
        if not isinstance(last, nn.Linear):
            raise ValueError("the model has no linear head")
        return last


def trained(task: Images) -> Images:
    """``task`` with running statistics away from their initial values."""
    task.model.train()
    with torch.no_grad():
        task.model(task.images * 3 + 1)
    return task


def batch(task: Images) -> Batch:
    return task.batch(torch.arange(5, 37))


@pytest.mark.parametrize("batch_norm", ["batch", "running"])
@pytest.mark.parametrize("gradients", [True, False])
def test_no_trace_is_left(batch_norm: Any, gradients: bool) -> None:
    task = trained(Images(dropout=0.5))
    before = {key: value.clone() for key, value in task.model.state_dict().items()}
    task.model[2].eval()  # a layer that the training has frozen stays so
    modes = [module.training for module in task.model.modules()]
    random_state = torch.get_rng_state()
    SelectionPass(gradients, batch_norm=batch_norm)(task, batch(task))
    for key, value in task.model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert [module.training for module in task.model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(p.requires_grad and p.grad is None for p in task.model.parameters())
    assert task.model[1].track_running_stats


def test_losses_are_those_of_the_training_pass() -> None:
    """Same mini-batch, same statistics, no dropout."""
    task = trained(Images())
    signals = SelectionPass()(task, batch(task))
    torch.testing.assert_close(signals.losses, task.losses(batch(task)).detach())
    assert signals.indices is not None
    assert signals.indices.tolist() == list(range(5, 37))
    assert signals.inputs.shape == (32, 0)


@pytest.mark.parametrize("gradients", [True, False])
def test_frozen_batch_normalisation_stays_frozen(gradients: bool) -> None:
    """As in the training pass, by its running statistics, whatever else the mini-batch holds."""
    task = trained(Images())
    task.model[1].eval()
    signals = SelectionPass(gradients)(task, batch(task))
    torch.testing.assert_close(signals.losses, task.losses(batch(task)).detach())
    alone = SelectionPass(gradients)(task, task.batch(torch.arange(5, 7)))
    torch.testing.assert_close(alone.losses, signals.losses[:2])


def test_running_statistics_are_those_of_evaluation() -> None:
    task = trained(Images(dropout=0.5))
    signals = SelectionPass(batch_norm="running")(task, batch(task))
    task.model.eval()
    torch.testing.assert_close(signals.losses, task.losses(batch(task)).detach())


def test_gradients_are_autograds() -> None:
    task = trained(Images())
    signals = SelectionPass(gradients=True)(task, batch(task))
    head = task.head()
    losses = task.losses(batch(task))
    for i, loss in enumerate(losses[:6]):
        weight, bias = torch.autograd.grad(loss, [head.weight, head.bias], retain_graph=True)
        outer = signals.output_gradients[i, :, None] * signals.inputs[i]
        torch.testing.assert_close(outer, weight)
        torch.testing.assert_close(signals.output_gradients[i], bias)


class Judging(Images):
    """A task that selects by other losses than it trains on, with sketched gradients."""

    def selection_losses(self, batch: Batch) -> Tensor:
        return 2 * self.losses(batch)

    def head_signals(self, inputs: Tensor, output_gradients: Tensor) -> tuple[Tensor, Tensor, bool]:
        return inputs[:, :2], output_gradients[:, :1], False


def test_the_task_may_judge_by_losses_and_gradients_of_its_own() -> None:
    task, plain = trained(Judging()), trained(Images())
    for gradients in (True, False):
        signals = SelectionPass(gradients)(task, batch(task))
        expected = SelectionPass(gradients)(plain, batch(plain))
        torch.testing.assert_close(signals.losses, 2 * expected.losses)
        if gradients:
            torch.testing.assert_close(signals.inputs, expected.inputs[:, :2])
            assert signals.output_gradients.shape == (32, 1)
            assert not signals.bias


@pytest.mark.parametrize("gradients", [True, False])
def test_reduced_precision_is_near_and_comes_back_as_float32(gradients: bool) -> None:
    task = trained(Images())
    exact = SelectionPass(gradients)(task, batch(task))
    reduced = SelectionPass(gradients, precision="bfloat16")(task, batch(task))
    assert reduced.losses.dtype == torch.float32
    assert not torch.equal(reduced.losses, exact.losses)
    torch.testing.assert_close(reduced.losses, exact.losses, rtol=0.05, atol=0.05)
    task.amp_dtype = torch.bfloat16  # float32 also switches off the training's own
    same = SelectionPass(gradients, precision="float32")(task, batch(task))
    assert torch.equal(same.losses, exact.losses)


class Resizable(Images):
    """A task with a lower resolution."""

    def at_resolution(self, batch: Batch, resolution: float) -> Batch:
        smaller = functional.interpolate(batch.inputs, scale_factor=resolution, mode="area")
        return Batch(batch.indices, smaller, batch.targets)


def test_resolution() -> None:
    task = Resizable()
    SelectionPass(resolution=0.5)(task, batch(task))
    assert task.seen == [torch.Size([32, 1, 4, 4])]


def test_a_resolution_that_the_model_does_not_take() -> None:
    task = Resizable()
    with pytest.raises(ValueError, match=r"resolution=0.25 does not go with the model Sequential"):
        SelectionPass(resolution=0.25)(task, batch(task))  # 2 x 2 pixels, a kernel of 3 x 3


def test_a_task_without_resolutions_says_so() -> None:
    task = Images()
    with pytest.raises(ValueError, match=r"resolution=0.5 does not go with Images"):
        SelectionPass(resolution=0.5)(task, batch(task))


class Averaging(Images):
    """Losses averaged over the batch, as a careless user writes them."""

    def losses(self, batch: Batch) -> Tensor:
        return super().losses(batch).mean()


@pytest.mark.parametrize("gradients", [True, False])
def test_losses_must_be_per_example(gradients: bool) -> None:
    task = Averaging()
    with pytest.raises(ValueError, match=r"shape \(\) for 32 examples.*reduction='none'"):
        SelectionPass(gradients)(task, batch(task))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "int8"}, "precision must be one of float32, bfloat16, float16"),
        ({"resolution": 0}, r"resolution must be in \(0, 1\], got 0"),
        ({"resolution": 1.5}, "got 1.5"),
        ({"batch_norm": "frozen"}, "batch_norm must be batch or running"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelectionPass(**settings)
