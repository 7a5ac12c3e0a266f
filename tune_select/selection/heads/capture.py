"""Last-layer inputs and output gradients, by hooks on the head and no backward pass.

For the last linear layer, the gradient of one example's loss is the outer product of the gradient p
at the layer's outputs and the layer's input h. Both come out of one forward pass: the body runs
without a graph, the head's output is replaced by a detached leaf, and differentiating the sum of
the per-example losses with respect to that leaf gives p for any loss.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tune_select.selection.heads.matrix import routed


@dataclass(frozen=True)
class HeadCall:
    """One call of a head.

    Attributes:
        head: The layer that was called.
        inputs: Its inputs h, (B, D) or (B, ..., D), detached.
        outputs: Its outputs as a leaf that records gradients, (B, C) or (B, ..., C).
        half: Whether the layer computed in half precision.
    """

    head: nn.Module
    inputs: Tensor
    outputs: Tensor
    half: bool = False


class HeadCapture:
    """What the heads saw since the gradients were last taken.

    Attributes:
        calls: The calls in their order; one for a model whose only head runs once in a forward
            pass.
    """

    def __init__(self) -> None:
        self.calls: list[HeadCall] = []
        self._done = False

    @property
    def inputs(self) -> Tensor:
        """Inputs h of the last call, (B, D) or (B, T, D), detached."""
        return self.calls[-1].inputs

    @property
    def outputs(self) -> Tensor:
        """Outputs of the last call, a leaf that records gradients."""
        return self.calls[-1].outputs

    def gradients(self, losses: Tensor) -> Tensor:
        """Gradients p of each example's own loss at the outputs of the last call, in their shape.

        Args:
            losses: Per-example losses (B,) of the pass that was captured.
        """
        return self.call_gradients(losses)[-1]

    def call_gradients(self, losses: Tensor) -> list[Tensor]:
        """The same for every call since the last time, float32.

        A call that the losses do not depend on gets zeros.

        Args:
            losses: Per-example losses (B,), or a number.
        """
        leaves = [call.outputs for call in self.calls]
        gradients = torch.autograd.grad(losses.sum(), leaves, allow_unused=True)
        self._done = True
        return [
            torch.zeros_like(leaf, dtype=torch.float32) if given is None else given.float()
            for given, leaf in zip(gradients, leaves, strict=True)
        ]

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor:
        if self._done:
            self.calls, self._done = [], False
        tensors = [value for value in args if isinstance(value, Tensor)]
        if len(tensors) != 1 or args[0] is not tensors[0] or not isinstance(output, Tensor):
            raise ValueError(
                f"the head {type(module).__name__} does not map one tensor to one tensor: name "
                "another layer with head="
            )
        # In mixed precision the loss goes on from single precision, or p would have 8 bits.
        half = output.dtype in (torch.float16, torch.bfloat16)
        leaf = (output.float() if half else output).detach().requires_grad_()
        self.calls.append(HeadCall(module, args[0].detach(), leaf, half))
        return leaf


@contextmanager
def capture_head(model: nn.Module, *heads: nn.Module) -> Iterator[HeadCapture]:
    """Capture ``heads`` in every forward pass inside, with the model's parameters frozen.

    The model's mode is the caller's choice. Gradient flags and the heads are as before afterwards.

    Args:
        model: Whose parameters gather no gradients meanwhile.
        *heads: Layers that map one tensor to one tensor, none of which feeds another.
    """
    capture = HeadCapture()
    # Before the user's own hooks: what these make of the outputs is the model's, not the layer's.
    handles = [head.register_forward_hook(capture._hook, prepend=True) for head in heads]
    try:
        with requiring_gradients(model, False), as_written(model), routed(heads):
            yield capture
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def requiring_gradients(model: nn.Module, required: bool) -> Iterator[None]:
    """Let all of a model's floating-point parameters require gradients, or none, for a while."""
    changed = [
        p
        for p in model.parameters()
        if p.requires_grad != required and (p.is_floating_point() or p.is_complex())
    ]
    try:
        for parameter in changed:
            parameter.requires_grad_(required)
        yield
    finally:
        for parameter in changed:
            parameter.requires_grad_(not required)


@contextmanager
def without_hooks(module: nn.Module) -> Iterator[None]:
    """Call a layer without what watches or changes its outputs."""
    hooks, module._forward_hooks = module._forward_hooks, OrderedDict()
    try:
        yield
    finally:
        module._forward_hooks = hooks


@contextmanager
def as_written(model: nn.Module) -> Iterator[None]:
    """Call a model that was compiled in place as it was written.

    A compiled call does not see hooks that were registered after it was compiled.
    """
    compiled, model._compiled_call_impl = model._compiled_call_impl, None
    try:
        yield
    finally:
        model._compiled_call_impl = compiled


def in_precision_of(module: nn.Module, values: Tensor) -> Tensor:
    """Inputs of a layer in the precision of its weights, for a call outside of autocast.

    Args:
        module: The layer.
        values: Its inputs as it saw them, in half precision under autocast.
    """
    own = next((p.dtype for p in module.parameters() if p.is_floating_point()), values.dtype)
    return values.to(own) if values.is_floating_point() else values


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, and every module back into its own mode afterwards.

    Layers that a user keeps in evaluation mode (frozen batch normalisation, say) stay there.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training


def named_heads(heads: Sequence[tuple[str, nn.Module]]) -> str:
    """Layers for people: ``fc (Linear), gate (Linear)``."""
    return ", ".join(f"{name or 'the model itself'} ({type(m).__name__})" for name, m in heads)
