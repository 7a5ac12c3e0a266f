"""A device without double precision, as Apple's GPUs are, on any machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

MPS = torch.device("mps")


class OnMps(Tensor):
    """A tensor that says it is on an Apple GPU: its results are too, and none may be float64."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return MPS
        name = getattr(func, "__name__", "")
        to_cpu = name == "cpu" or (name == "to" and torch.device("cpu") in args)
        if name == "to":
            args = tuple(one for one in args if one != MPS)
            if len(args) == 1 and not kwargs:
                return args[0]
        if kwargs.get("device") == MPS:
            del kwargs["device"]
        if to_cpu:
            with torch._C.DisableTorchFunctionSubclass():
                return args[0].clone()
        found = super().__torch_function__(func, types, args, kwargs)
        for one in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(one, OnMps) and one.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return found


def on_mps(value: Any) -> Any:
    """A tensor, or all tensors of a tuple, there."""
    if isinstance(value, tuple):
        return tuple(map(on_mps, value))
    return value.as_subclass(OnMps)


def moved(model: nn.Module) -> nn.Module:
    """The model with its parameters and buffers there."""
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = nn.Parameter(on_mps(parameter.detach()))
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = on_mps(buffer)
    return model
