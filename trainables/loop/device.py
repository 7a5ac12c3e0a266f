"""Which device and which precision a trial uses."""

from __future__ import annotations

import torch


def choose_device(name: str) -> torch.device:
    """The device that ``device`` names; ``auto`` takes CUDA where the trial may see it.

    Raises:
        ValueError: The name is unknown, or the device is not there.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:<i>, got {name!r}") from error
    if device.type == "cuda" and not available:
        raise ValueError(
            f"device={name!r}, but this trial sees no CUDA device: give it one with "
            "resources.gpu, or set device to auto or cpu"
        )
    return device


def amp_dtype(setting: bool | str, device: torch.device) -> torch.dtype | None:
    """The dtype of mixed precision, or ``None`` for single precision.

    ``auto`` and ``True`` take bfloat16 where the device computes in it, else float16; ``auto``
    leaves other devices than CUDA in single precision.
    """
    if setting is False or (setting == "auto" and device.type != "cuda"):
        return None
    if setting == "fp16":
        return torch.float16
    if setting == "bf16" or device.type != "cuda" or torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float16
