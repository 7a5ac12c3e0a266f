"""Last-layer inputs and output gradients, by one hook on the head and no backward pass.

For the last linear layer, the gradient of one example's loss is the outer product of the gradient p
at the layer's outputs and the layer's input h. Both come out of one forward pass: the body runs
without a graph, the head's output is replaced by a detached leaf, and differentiating the sum of
the per-example losses with respect to that leaf gives p for any loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


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
