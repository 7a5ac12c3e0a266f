"""What a model's own code writes down while it computes a loss, undone behind a selection's look.

A step of a user's own may count, collect outputs in a list, or update a metric that is logged at
the end of the epoch. A selection runs it on all examples once more, which must not be seen there.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

_TORCHS_OWN = frozenset(vars(nn.Module())) - {"_buffers"}
_DEEPEST = 4  # lists in mappings in lists

Undo = Callable[[], None]


@contextmanager
def kept_notes(owner: object) -> Iterator[Undo]:
    """Give a function that undoes what ``owner`` has noted since; it is called at the end too.

    Attributes of the owner, and of all parts of a model, and what lists, mappings, sets and tensors
    among them hold, are as before: buffers too, parameters, gradients and hooks not. What is noted
    elsewhere is out of reach.

    Args:
        owner: The model whose forward pass, or whatever else's method, is called meanwhile.
    """
    undo = _remembered(owner)
    try:
        yield undo
    finally:
        undo()


def _remembered(owner: object) -> Undo:
    parts = owner.modules() if isinstance(owner, nn.Module) else [owner]
    before = [
        (vars(part), {k: v for k, v in vars(part).items() if k not in _TORCHS_OWN})
        for part in parts
        if not isinstance(part, LazyModuleMixin)  # its first pass makes it another module
    ]
    inner = [_contents(value) for _, own in before for value in own.values()]
    changes = [undo for undo in inner if undo is not None]

    def undo() -> None:
        for attributes, own in before:
            for name in [k for k in attributes if k not in _TORCHS_OWN and k not in own]:
                del attributes[name]
            for name, value in own.items():
                if attributes.get(name, undo) is not value:
                    attributes[name] = value
        for restore in changes:
            restore()

    return undo


def _contents(value: Any, depth: int = 0) -> Undo | None:
    """What puts back what a value holds; ``None`` where it holds nothing that can change."""
    if isinstance(value, Tensor):
        fixed = value.requires_grad or value.is_inference()
        return None if fixed else _numbers(value)
    if depth == _DEEPEST or type(value) not in _CONTAINERS:
        return None
    kept = value.copy()
    items = kept.values() if isinstance(kept, dict) else kept
    inner = [found for item in items if (found := _contents(item, depth + 1)) is not None]

    def undo() -> None:
        if not _same(value, kept):
            value.clear()
            (value.extend if isinstance(value, (list, deque)) else value.update)(kept)
        for restore in inner:
            restore()

    return undo


_CONTAINERS = (list, dict, set, deque, OrderedDict, defaultdict, Counter)


def _same(value: Any, kept: Any) -> bool:
    """Whether a container holds the same objects in the same order."""
    if len(value) != len(kept):
        return False
    if isinstance(value, dict):
        pairs = zip(value.items(), kept.items(), strict=True)
        return all(a[0] == b[0] and a[1] is b[1] for a, b in pairs)
    return all(a is b for a, b in zip(value, kept, strict=True))


def _numbers(tensor: Tensor) -> Undo:
    """Each change in place counts a tensor's version up: without one there is nothing to do."""
    kept, version = tensor.detach().clone(), tensor._version

    def undo() -> None:
        nonlocal version
        if tensor._version != version:
            with torch.no_grad():
                tensor.copy_(kept)
            version = tensor._version

    return undo
