"""One identity of the gradients, on one batch: what was captured is the whole story of the head.

With h the inputs and z the outputs of every call of the head, the gradient of a loss with respect
to its weights W must be what the chain rule makes of h and p = dL/dz alone (sum p h^T for a linear
layer). It is not where the weights also work elsewhere, one call of the head feeds another, or the
loss adds a penalty on W; then selecting by h and p would match something else without a word.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tune_select.selection.heads.capture import (
    HeadCall,
    capture_head,
    evaluation_mode,
    in_precision_of,
    named_heads,
    requiring_gradients,
    without_hooks,
)
from tune_select.selection.heads.find import Named, recording, weight_layers
from tune_select.selection.heads.matrix import routed
from tune_select.selection.heads.precision import double

_TOLERANCE = 1e-3  # of the gradient's norm, in single precision
_TOLERANCE_HALF = 5e-2


def verify_heads(model: nn.Module, heads: Sequence[Named], loss_of: Callable[[], Tensor]) -> None:
    """Compare autograd's gradient of each head's weights with the one from h and p.

    Weights that are tied to another layer (an embedding, say) are replaced by copies meanwhile: the
    head's share of their gradient is what is matched.

    Args:
        model: Whose heads they are.
        heads: The heads as ``find_heads`` found them.
        loss_of: The forward pass and loss of one batch.

    Raises:
        ValueError: They differ, so the layer's calls do not explain the gradient.
    """
    modules = [module for _, module in heads]
    with (
        evaluation_mode(model),
        recording(),
        requiring_gradients(model, True),
        _own_weights(modules),
    ):
        weights = [list(module.parameters()) for module in modules]
        state = torch.random.get_rng_state()
        flat = [weight for own in weights for weight in own]
        with routed(modules):
            loss = loss_of().sum()
        at_weights = list(torch.autograd.grad(loss, flat, allow_unused=True))
        torch.random.set_rng_state(state)
        with capture_head(model, *modules) as capture:
            with _written_out(heads):
                loss = loss_of()
            gradients = capture.call_gradients(loss)
            seen = list(zip(capture.calls, gradients, strict=True))
        for (name, module), own in zip(heads, weights, strict=True):
            direct = [_or_zeros(at_weights.pop(0), weight) for weight in own]
            mine = [(call, p) for call, p in seen if call.head is module]
            half = any(call.half for call, _ in mine)
            explained = _explained(module, own, mine)
            if not _equal(direct, explained, half=half):
                others = [named for named in weight_layers(model).items() if named[1] is not module]
                raise ValueError(_unexplained(name, module, direct, explained, others))


@contextmanager
def _written_out(heads: Sequence[Named]) -> Iterator[None]:
    """Say what is wrong with a model that changes its heads' outputs in place.

    They are leaves while they are captured: a copy of each pass's outputs, which may be the largest
    tensor of all, is more than such a model is worth.
    """
    try:
        yield
    except RuntimeError as error:
        if "in-place operation" not in str(error):
            raise
        raise ValueError(
            f"the model changes the outputs of {named_heads(heads)} in place (add_, relu_, "
            "masked_fill_): write that as an operation that returns a new tensor, or name another "
            "layer with head="
        ) from error


def _explained(
    module: nn.Module, weights: list[nn.Parameter], calls: list[tuple[HeadCall, Tensor]]
) -> list[Tensor]:
    """Gradients of the weights that the calls' inputs and output gradients stand for."""
    totals = [torch.zeros_like(weight) for weight in weights]
    for call, p in calls:
        with without_hooks(module):
            outputs = module(in_precision_of(module, call.inputs))
        parts = torch.autograd.grad(outputs, weights, p.to(outputs.dtype), allow_unused=True)
        totals = [
            total if part is None else total + part
            for total, part in zip(totals, parts, strict=True)
        ]
    return totals


def _equal(direct: list[Tensor], explained: list[Tensor], *, half: bool) -> bool:
    tolerance = _TOLERANCE_HALF if half else _TOLERANCE
    return _gap(direct, explained) <= tolerance * _norm(direct) + 1e-12


def _norm(parts: list[Tensor]) -> float:
    return float(torch.stack([double(part).norm() for part in parts]).norm())


def _gap(direct: list[Tensor], explained: list[Tensor]) -> float:
    return _norm([double(a) - double(b) for a, b in zip(direct, explained, strict=True)])


def _unexplained(
    name: str,
    module: nn.Module,
    direct: list[Tensor],
    explained: list[Tensor],
    others: Sequence[Named],
) -> str:
    """What is wrong, and what may be done.

    Args:
        name: The name of the head.
        module: The head.
        direct: Autograd's gradients of its weights.
        explained: Those that its calls stand for.
        others: Layers that might be the head in its place.
    """
    off = _gap(direct, explained) / max(_norm(direct), 1e-30)
    candidates = f" (candidates: {named_heads(others)})" if others else ""
    return (
        f"the gradient of the layer {name or type(module).__name__} does not follow from its "
        f"inputs and outputs (off by {off:.0%} of its norm): its weights work outside of its calls "
        f"too, one call feeds another, or the loss adds a penalty on them. Name another layer with "
        f"head={candidates}, or take the penalty out of loss (weight_decay of the optimizer does "
        "the same)"
    )


@contextmanager
def _own_weights(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Give the modules copies of their weights for a while, tied to nothing."""
    owners = [inner for module in modules for inner in module.modules()]
    before = [(owner, dict(owner._parameters)) for owner in owners]
    try:
        for owner, parameters in before:
            for name, parameter in parameters.items():
                if parameter is not None:
                    owner._parameters[name] = nn.Parameter(
                        parameter.detach().clone(), parameter.requires_grad
                    )
        yield
    finally:
        for owner, parameters in before:
            owner._parameters.update(parameters)


def _or_zeros(gradient: Tensor | None, weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if gradient is None else gradient


def example_gradients(module: nn.Module, inputs: Tensor, output_gradients: Tensor) -> Tensor:
    """Gradient of each example's loss with respect to all weights of a layer of any kind.

    Args:
        module: Maps inputs (B, ...) to outputs (B, ...), example by example.
        inputs: (B, ...).
        output_gradients: The output gradients of each example's own loss at the layer's outputs, in
            their shape.

    Returns:
        float32 (B, P), P the number of the layer's weights.
    """
    weights = {name: p.detach() for name, p in module.named_parameters()}

    def one(example: Tensor, at_output: Tensor) -> Tensor:
        def run(given: dict[str, Tensor]) -> Tensor:
            output: Tensor = functional_call(module, given, (example[None],))
            return output[0]

        output, pull, *_ = torch.func.vjp(run, weights)
        (gradients,) = pull(at_output.to(output.dtype))
        return torch.cat([gradients[name].flatten().float() for name in weights])

    # The captures watch by forward hooks, which must not take these runs for the model's.
    with without_hooks(module), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        inputs = in_precision_of(module, inputs)
        result: Tensor = torch.func.vmap(one)(inputs, output_gradients)
    return result
