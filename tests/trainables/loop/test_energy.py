"""Counters of joules, on files that look like RAPL's."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from trainables.loop import energy
from trainables.loop.energy import RaplCounter, open_counter


def package(root: Path, name: str, microjoules: int) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("1000000\n")
    return folder


def test_packages_are_summed_over_their_wraps(tmp_path: Path) -> None:
    first, second = package(tmp_path, "a", 900_000), package(tmp_path, "b", 100)
    counter = RaplCounter([first, second])
    assert counter.joules() == 0
    (first / "energy_uj").write_text("100000")
    (second / "energy_uj").write_text("300100")
    assert counter.joules() == pytest.approx(0.2 + 0.3)
    (first / "energy_uj").write_text("600000")
    assert counter.joules() == pytest.approx(0.2 + 0.3 + 0.5)


def test_parts_of_packages_are_not_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = package(tmp_path, "intel-rapl:0", 10)
    part = package(tmp_path, "intel-rapl:0:0", 10)
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    counter = open_counter(torch.device("cpu"))
    assert counter is not None
    (folder / "energy_uj").write_text("500010")
    (part / "energy_uj").write_text("400010")
    assert counter.joules() == pytest.approx(0.5)


def test_what_is_shared_or_not_there_has_no_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    assert open_counter(torch.device("cpu")) is None
    package(tmp_path, "intel-rapl:0", 10)
    assert open_counter(torch.device("cpu"), whole_machine=False) is None
    assert open_counter(torch.device("cuda"), whole_gpu=False) is None
    assert open_counter(torch.device("cpu")) is not None


class Nvml:
    """As much of NVIDIA's library as one GPU needs, which counts millijoules or refuses."""

    class NVMLError(Exception):
        pass

    def __init__(self, millijoules: int | None) -> None:
        self.millijoules = millijoules

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        assert handle == "GPU-1234"
        if self.millijoules is None:
            raise Nvml.NVMLError
        return self.millijoules


def test_a_gpu_of_ones_own_is_counted_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(uuid="1234")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    library = Nvml(2500)
    monkeypatch.setitem(sys.modules, "pynvml", library)  # type: ignore[arg-type]
    counter = open_counter(torch.device("cuda"))
    assert counter is not None
    assert counter.joules() == 2.5
    library.millijoules = None
    assert open_counter(torch.device("cuda")) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # type: ignore[arg-type]
    assert open_counter(torch.device("cuda")) is None


def test_a_package_that_may_not_be_read_leaves_no_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the machine's joules would look like a small total."""
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    package(tmp_path, "intel-rapl:0", 10)
    (package(tmp_path, "intel-rapl:1", 10) / "energy_uj").unlink()
    assert open_counter(torch.device("cpu")) is None
