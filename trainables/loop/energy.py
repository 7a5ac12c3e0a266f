"""Joules from counters that the hardware keeps; never an estimate.

NVML counts the energy of a whole GPU, RAPL that of whole CPU packages. A trial may therefore only
read them while nobody else uses what is counted: a GPU that it does not share, or all of a
machine's CPUs. Otherwise there is no meter and the trial reports ``None``.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch

_RAPL = Path("/sys/class/powercap")


class EnergyCounter(ABC):
    """A hardware counter of joules that only grows."""

    @abstractmethod
    def joules(self) -> float:
        """Joules since some fixed moment."""


class NvmlCounter(EnergyCounter):
    """The total-energy counter of one NVIDIA GPU (Volta and later), millijoule resolution."""

    def __init__(self, pynvml: Any, handle: Any) -> None:
        self._pynvml = pynvml
        self._handle = handle

    def joules(self) -> float:
        """Joules since the driver was loaded."""
        return float(self._pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000


class RaplCounter(EnergyCounter):
    """The sum of the CPU packages' counters, each of which wraps around at its own range."""

    def __init__(self, packages: list[Path]) -> None:
        self._files = [package / "energy_uj" for package in packages]
        ranges = [package / "max_energy_range_uj" for package in packages]
        self._ranges = [int(file.read_text()) for file in ranges]
        self._last = [int(file.read_text()) for file in self._files]
        self._total_uj = 0

    def joules(self) -> float:
        """Joules since this object was made; must be read before a counter wraps twice."""
        for index, file in enumerate(self._files):
            now = int(file.read_text())
            step = now - self._last[index]
            self._total_uj += step if step >= 0 else step + self._ranges[index]
            self._last[index] = now
        return self._total_uj / 1e6


def open_counter(
    device: torch.device, *, whole_gpu: bool = True, whole_machine: bool = True
) -> EnergyCounter | None:
    """The counter of what a trial on ``device`` uses alone, or ``None``.

    Args:
        device: The trial's device.
        whole_gpu: Whether the trial has the GPU to itself.
        whole_machine: Whether the trial has all the machine's CPUs to itself.
    """
    if device.type == "cuda":
        return _nvml_counter(device) if whole_gpu else None
    return _rapl_counter() if whole_machine and device.type == "cpu" else None


def _nvml_counter(device: torch.device) -> EnergyCounter | None:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        # By UUID: NVML counts all of a machine's GPUs, PyTorch those that the trial may see.
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        counter = NvmlCounter(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid))
        counter.joules()
    except pynvml.NVMLError:  # an older GPU, a MIG slice, or no permission: nothing to read
        return None
    return counter


def _rapl_counter() -> EnergyCounter | None:
    packages = sorted(
        path for path in _RAPL.glob("intel-rapl:*") if path.name.count(":") == 1
    )  # a second colon marks a part of a package, which the package counts already
    readable = [path for path in packages if os.access(path / "energy_uj", os.R_OK)]
    if not packages or len(readable) < len(packages):
        return None
    return RaplCounter(packages)
