"""A bias that stands beside a head without one: ``h @ W + b``, or a layer's outputs plus b."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tune_select.selection.heads.capture import (
    capture_head,
    evaluation_mode,
    requiring_gradients,
)
from tune_select.selection.heads.find import Named, recording
from tune_select.selection.heads.gradients import is_plain_linear
from tune_select.selection.heads.matrix import MatrixHead

_TOLERANCE = 1e-4  # of the gradient's norm, in single precision


def with_biases(
    model: nn.Module, heads: Sequence[Named], loss_of: Callable[[], Tensor]
) -> list[Named]:
    """The heads, each that has no bias with the one that the model adds to its outputs, if any.

    Of z = h W + b, dL/db is the sum of p = dL/dz over all rows, whatever comes behind. A vector of
    the model's own whose gradient is that sum is taken for the bias; one that scales the outputs,
    say, has another gradient, and stays outside of the head as other layers do.

    Args:
        model: Whose heads they are.
        heads: The heads as ``find_heads`` found them.
        loss_of: The forward pass and loss of one batch.
    """
    bare = [module for _, module in heads if _lacks_bias(module)]
    vectors = _vectors_beside(model, heads) if bare else []
    if not vectors:
        return list(heads)
    with evaluation_mode(model), recording():
        with capture_head(model, *bare) as capture:
            seen = list(zip(capture.calls, capture.call_gradients(loss_of()), strict=True))
        state = torch.random.get_rng_state()
        with requiring_gradients(model, True):
            at_vectors = torch.autograd.grad(loss_of().sum(), vectors, allow_unused=True)
        torch.random.set_rng_state(state)
    found: dict[int, nn.Parameter] = {}
    for module in bare:
        sums = [p.flatten(0, -2).sum(0) for call, p in seen if call.head is module]
        if sums:
            own = _equal(torch.stack(sums).sum(0), vectors, at_vectors)
            found |= {} if own is None else {id(module): own}
    return [
        (name, _biased(module, found[id(module)]) if id(module) in found else module)
        for name, module in heads
    ]


def _lacks_bias(module: nn.Module) -> bool:
    return is_plain_linear(module) and module._parameters.get("bias") is None


def _vectors_beside(model: nn.Module, heads: Sequence[Named]) -> list[nn.Parameter]:
    """Vectors of the model that no head owns."""
    owned = {id(p) for _, head in heads for p in head.parameters()}
    own = [p for p in model.parameters() if p.ndim == 1 and p.is_floating_point()]
    return [p for p in own if id(p) not in owned]


def _equal(
    expected: Tensor, vectors: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]
) -> nn.Parameter | None:
    size = float(expected.norm())
    for vector, gradient in zip(vectors, gradients, strict=True):
        if gradient is None or gradient.shape != expected.shape or size == 0:
            continue
        if float((gradient.float() - expected).norm()) <= _TOLERANCE * size:
            return vector
    return None


def _biased(module: nn.Module, bias: nn.Parameter) -> MatrixHead:
    weight = module._parameters["weight"]
    assert weight is not None
    transposed = not isinstance(module, MatrixHead) or module.transposed
    return MatrixHead(weight, transposed=transposed, bias=bias)
