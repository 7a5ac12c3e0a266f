"""Last-layer inputs and output gradients, by one hook on the head and no backward pass.

For the last linear layer, the gradient of one example's loss is the outer product of the gradient p
at the layer's outputs and the layer's input h. Both come out of one forward pass: the body runs
without a graph, the head's output is replaced by a detached leaf, and differentiating the sum of
the per-example losses with respect to that leaf gives p for any loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tune_select.selection.base import Signals

if TYPE_CHECKING:
    from trainables.task import Split, Task


class HeadCapture:
    """What the head saw in the last forward pass.

    Attributes:
        inputs: The head's inputs h, (B, D) or (B, T, D), detached.
        outputs: The head's outputs as a leaf that records gradients, (B, C) or (B, T, C).
    """

    inputs: Tensor
    outputs: Tensor

    def gradients(self, losses: Tensor) -> Tensor:
        """Gradients p of each example's own loss at the head's outputs, in their shape.

        Args:
            losses: Per-example losses (B,) of the pass that was captured.
        """
        (gradients,) = torch.autograd.grad(losses.sum(), self.outputs)
        return gradients.float()

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        self.inputs = args[0].detach()
        # In mixed precision the loss goes on from single precision, or p would have 8 bits.
        half = output.dtype in (torch.float16, torch.bfloat16)
        self.outputs = (output.float() if half else output).detach().requires_grad_()
        return self.outputs


@contextmanager
def capture_head(model: nn.Module, head: nn.Module) -> Iterator[HeadCapture]:
    """Capture ``head`` in every forward pass inside, with the model's parameters frozen.

    The model's mode is the caller's choice. Gradient flags and the head are as before afterwards.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    capture = HeadCapture()
    handle = head.register_forward_hook(capture._hook)
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield capture
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        handle.remove()


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, and back into its mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def index_batches(size: int, batch_size: int) -> Iterator[Tensor]:
    """Positions 0 to ``size`` - 1 in order, ``batch_size`` at a time, int64 on the CPU."""
    return iter(torch.split(torch.arange(size), batch_size))


def collect_signals(task: Task, split: Split = "train", *, gradients: bool = True) -> Signals:
    """Signals of every example of a split in one pass, in evaluation mode, unaugmented.

    Args:
        task: Whose head is a linear layer with two-dimensional inputs (B, D).
        split: ``train`` or ``validation``.
        gradients: Whether to collect inputs and output gradients, or the losses alone.

    Returns:
        Signals on the task's device.

    Raises:
        ValueError: The split is empty, or the head sees more than two dimensions.
    """
    labels = task.split_labels(split)
    if len(labels) == 0:
        raise ValueError(f"the {split} split is empty: set data.validation_fraction above 0")
    with evaluation_mode(task.model):
        if not gradients:
            return _losses_only(task, split, labels)
        with capture_head(task.model, task.head()) as capture, torch.enable_grad():
            return _fill(task, split, labels, capture)


def _losses_only(task: Task, split: Split, labels: Tensor) -> Signals:
    with torch.inference_mode(), task.autocast():
        batches = task.batches(index_batches(len(labels), task.eval_batch_size), split=split)
        losses = torch.cat([task.losses(batch).float() for batch in batches])
    empty = torch.empty(len(labels), 0, device=losses.device)
    # A tensor made in inference mode may not be used where gradients are recorded: hand out a copy.
    return Signals(labels.to(losses.device), empty, empty, losses=losses.clone())


def _fill(task: Task, split: Split, labels: Tensor, capture: HeadCapture) -> Signals:
    size, start, has_bias = len(labels), 0, True
    inputs = output_gradients = losses = torch.empty(0)
    for batch in task.batches(index_batches(size, task.eval_batch_size), split=split):
        with task.autocast():
            batch_losses = task.losses(batch)
        seen, gradients, has_bias = task.head_signals(
            capture.inputs, capture.gradients(batch_losses)
        )
        if seen.ndim != 2 or len(seen) != len(batch):
            raise ValueError(
                f"the head saw inputs of shape {tuple(seen.shape)} for {len(batch)} examples, not "
                f"({len(batch)}, D): override {type(task).__name__}.head_signals"
            )
        if start == 0:  # whole arrays at once: concatenation would need twice the memory
            inputs = gradients.new_empty(size, seen.shape[1])
            output_gradients = gradients.new_empty(size, gradients.shape[1])
            losses = gradients.new_empty(size)
        stop = start + len(batch)
        inputs[start:stop] = seen
        output_gradients[start:stop] = gradients
        losses[start:stop] = batch_losses.detach()
        start = stop
    return Signals(labels.to(inputs.device), inputs, output_gradients, has_bias, losses)
