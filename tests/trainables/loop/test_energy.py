"""Counters of joules, on files that look like RAPL's."""

from __future__ import annotations

from pathlib import Path

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
