"""Which layer's gradients stand for the model: the one that runs last before the loss.

What is registered last says little: a gate or an adapter may come after the head, and the head
first. The autograd graph of one loss knows better: walking back from the loss, the first layers
with a weight matrix that are met are those whose outputs reach the loss through no other layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tune_select.selection.heads.capture import (
    as_written,
    evaluation_mode,
    named_heads,
    requiring_gradients,
)
from tune_select.selection.heads.matrix import routed, stand_ins

Named = tuple[str, nn.Module]
Head = str | nn.Module | Sequence[str | nn.Module]


def weight_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Layers that own a parameter of two dimensions or more, innermost only, by name.

    Embeddings are left out: they look rows up and are no linear map of what came before.
    """
    return dict(_layers("", model, set()))


def _layers(name: str, module: nn.Module, seen: set[int]) -> Iterator[Named]:
    if id(module) in seen:
        return
    seen.add(id(module))
    whole = parametrize.is_parametrized(module)
    inner = []
    if not whole:
        prefix = f"{name}." if name else ""
        for child_name, child in module.named_children():
            inner += list(_layers(prefix + child_name, child, seen))
    yield from inner
    if inner or isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return
    own = module.parameters(recurse=whole)
    if any(parameter.ndim >= 2 for parameter in own):
        yield name, module


def find_heads(
    model: nn.Module, loss_of: Callable[[], Tensor], head: Head | None = None
) -> list[Named]:
    """The layers whose outputs reach the loss through no other layer; usually one.

    Args:
        model: Any model.
        loss_of: A forward pass of a small batch and its loss, a number or one per example.
        head: Names the layers instead (dotted, as ``model.named_modules()`` has them), or is them.

    Returns:
        Names and modules, in the order of their first calls.

    Raises:
        ValueError: No layer, or not clearly one, produced the loss; lists the candidates.
    """
    candidates = weight_layers(model)
    chosen = None if head is None else _chosen(model, head)
    watched = candidates if chosen is None else dict(chosen)
    if not watched:
        raise ValueError(
            f"{type(model).__name__} has no torch.nn.Linear layer, nor another with a matrix of "
            "weights, whose gradients could be matched: use an arm that needs none (full, random)"
        )
    loss, produced = _watched_pass(model, watched, loss_of)
    start = loss_node(loss)
    ran = [(name, watched[name]) for name in dict.fromkeys(produced.values())]
    stop = set(produced)
    reached, loose = _walk_back(start, stop)
    if chosen is not None:
        return _confirmed(chosen, ran, {produced[node] for node in reached}, candidates)
    wide = [p for p in loose if p.ndim >= 2]
    if wide:  # a matrix of the model's own, in a product that no layer makes
        watched = {**candidates, **stand_ins(model, wide)}
        loss, produced = _watched_pass(model, watched, loss_of)
        ran = [(name, watched[name]) for name in dict.fromkeys(produced.values())]
        reached, loose = _walk_back(loss_node(loss), set(produced))
    names = {id(p): name for name, p in model.named_parameters()}
    if loose and not ran and not any(id(p) in names for p in loose):
        raise ValueError(
            f"the loss runs another model than the {type(model).__name__} that was given: give "
            "model= the one that loss calls"
        )
    matrices = [names.get(id(p), "a parameter") for p in loose if p.ndim >= 2]
    if matrices:
        raise ValueError(
            f"the loss uses {', '.join(matrices)} outside of a call of the layer, so that which "
            f"layer is last is not clear: name it with head=; {_candidates(ran, candidates)}"
        )
    found = {produced[node] for node in reached}
    if not found:
        raise ValueError(
            "no layer of the model produced the loss (is the model given the one that the loss "
            f"runs?): name it with head=; {_candidates(ran, candidates)}"
        )
    return [named for named in ran if named[0] in found]


def loss_node(loss: Tensor) -> Any:
    """The graph's node of a loss.

    Raises:
        ValueError: The loss is no tensor, is not finite, or has no graph.
    """
    check_loss(loss)
    return loss.grad_fn


def check_loss(loss: object, where: str = "") -> None:
    """Refuse a loss that cannot be differentiated.

    Args:
        loss: What the user's loss returned.
        where: Which batch, for the message.

    Raises:
        ValueError: Not a tensor, not finite, or without a graph to the model.
    """
    if not isinstance(loss, Tensor):
        raise ValueError(
            f"loss must return a tensor, a number or one per example, got {type(loss).__name__}"
        )
    if not bool(torch.isfinite(loss.detach()).all()):
        raise ValueError(
            f"the loss{where} is not finite ({float(loss.detach().sum())}): the model has diverged "
            "(lower its learning rate), or the data hold NaN"
        )
    if loss.grad_fn is None:
        raise ValueError(
            f"the loss{where} needs no gradient: it is detached from the model (computed under "
            "torch.no_grad(), from .item() or .detach()), or another model computed it"
        )


def _chosen(model: nn.Module, head: Head) -> list[Named]:
    listed = [head] if isinstance(head, str | nn.Module) else list(head)
    modules = dict(model.named_modules())
    chosen = []
    for one in listed:
        if isinstance(one, str):
            if one not in modules:
                known = named_heads(list(weight_layers(model).items()))
                raise ValueError(f"head={one!r} is not a layer of the model; it has {known}")
            chosen.append((one, modules[one]))
        else:
            name = next((name for name, module in modules.items() if module is one), None)
            if name is None:
                raise ValueError(
                    f"head is a {type(one).__name__} that is not part of the model "
                    f"{type(model).__name__}: give one of its layers, or a layer's name"
                )
            chosen.append((name, one))
    return chosen


def _watched_pass(
    model: nn.Module, watched: dict[str, nn.Module], loss_of: Callable[[], Tensor]
) -> tuple[Tensor, dict[Any, str]]:
    """A loss with its graph, and which layer made each of the graph's nodes that layers return."""
    produced: dict[Any, str] = {}

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            for tensor in tensors_in(output):
                if tensor.grad_fn is not None:
                    produced[tensor.grad_fn] = name

        return hook

    _refuse_scripts(watched)
    handles = [
        module.register_forward_hook(note(name), prepend=True) for name, module in watched.items()
    ]
    try:
        with (
            evaluation_mode(model),
            as_written(model),
            recording(),
            requiring_gradients(model, True),
            routed(watched.values()),
            only_asked(model),
        ):
            return loss_of(), produced
    finally:
        for handle in handles:
            handle.remove()


def _refuse_scripts(watched: Mapping[str, nn.Module]) -> None:
    scripts = [
        name for name, module in watched.items() if isinstance(module, torch.jit.ScriptModule)
    ]
    if scripts:
        raise ValueError(
            f"the layer {scripts[0] or 'of the model'} is TorchScript, which nothing can watch: "
            "give the model as it was before torch.jit.script or trace"
        )


@contextmanager
def only_asked(model: nn.Module) -> Iterator[None]:
    """Refuse a loss that trains the model when it is asked for its value.

    Raises:
        ValueError: A weight or its gradient was written to inside.
    """

    def state() -> list[tuple[int, int, int]]:
        return [
            (_writes(p), id(p.grad), -1 if p.grad is None else _writes(p.grad))
            for p in model.parameters()
        ]

    before = state()
    yield
    if state() != before:
        raise ValueError(
            "loss changed the weights of the model or their gradients (it calls backward() or an "
            "optimizer): give a function that only computes the loss, as selecting asks for it "
            "many times"
        )


def _writes(tensor: Tensor) -> int:
    """How often a tensor was written to; those made in inference mode do not count it."""
    return -1 if tensor.is_inference() else int(tensor._version)


@contextmanager
def recording() -> Iterator[None]:
    """Record graphs inside, whatever the caller's mode."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)


def _walk_back(start: Any, stop: set[Any]) -> tuple[list[Any], list[Tensor]]:
    """Nodes of ``stop`` that are met first, and parameters met on the way."""
    reached, loose, seen, todo = [], [], {start}, [start]
    while todo:
        node = todo.pop()
        if node in stop:
            reached.append(node)
            continue
        variable = getattr(node, "variable", None)
        if variable is not None:
            loose.append(variable)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                todo.append(following)
    return reached, loose


def _confirmed(
    chosen: list[Named], ran: list[Named], found: set[str], candidates: dict[str, nn.Module]
) -> list[Named]:
    for name, module in chosen:
        if name not in {other for other, _ in ran}:
            raise ValueError(
                f"head={name!r} ({type(module).__name__}) did not run in the forward pass of the "
                f"loss; {_candidates([], candidates)}"
            )
        if name not in found:
            raise ValueError(
                f"head={name!r} ({type(module).__name__}) ran, but the loss does not come from it; "
                f"{_candidates(ran, candidates)}"
            )
    return chosen


def _candidates(ran: list[Named], candidates: dict[str, nn.Module]) -> str:
    if ran:
        return f"candidates, in the order they ran: {named_heads(ran)}"
    return f"candidates, none of which was called: {named_heads(list(candidates.items()))}"
