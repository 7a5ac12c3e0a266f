"""Double precision wherever a tensor is: Apple's GPUs (MPS) have none, and refuse to convert."""

from __future__ import annotations

from typing import Final

from torch import Tensor

_WITHOUT_DOUBLES: Final = frozenset({"mps"})  # types of devices


def with_doubles(tensor: Tensor) -> Tensor:
    """The tensor itself, or its copy on the CPU where its device computes in single precision.

    Args:
        tensor: A tensor of any shape and dtype, on any device.
    """
    return tensor.cpu() if tensor.device.type in _WITHOUT_DOUBLES else tensor


def double(tensor: Tensor) -> Tensor:
    """The tensor in float64, on its own device if that has such numbers, else on the CPU.

    Args:
        tensor: A tensor of any shape, on any device.
    """
    return with_doubles(tensor).double()
