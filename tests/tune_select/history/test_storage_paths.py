"""Local paths mean the same in the driver and in a trial's own working directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tune_select.storage import Folder, local_path


def test_relative_paths_are_those_of_where_the_sweep_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, trial = tmp_path / "start", tmp_path / "trial"
    start.mkdir()
    trial.mkdir()
    monkeypatch.chdir(start)
    monkeypatch.delenv("TUNE_ORIG_WORKING_DIR", raising=False)
    in_driver = local_path("data/set.npz")
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", str(start))  # as Ray Tune does in a trial
    monkeypatch.chdir(trial)
    assert local_path("data/set.npz") == in_driver == str(start / "data" / "set.npz")
    assert Folder.at("history").path == str(start / "history")
    assert local_path("/absolute") == "/absolute"
    monkeypatch.setenv("HOME", "/somewhere")
    assert local_path("~/data") == "/somewhere/data"
