"""What Tune's last copy left behind is brought up, also to a storage that is away for a while."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from tune_select.storage import Folder
from tune_select.sweep.folder import brought_up
from tune_select.sweep.folder.brought_up import bring_up

STATE = "experiment_state-2026-11-29_01-12-33.json"


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    made = tmp_path / "staging"
    (made / "trial_1").mkdir(parents=True)
    (made / STATE).write_text("new!")
    (made / "trial_1" / "result.json").write_text("1\n2\n")
    (made / "trial_1" / "params.json").write_text("{}")
    return made


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_what_is_missing_shorter_or_a_state_is_copied(
    staging: Path, tmp_path: Path, kind: str
) -> None:
    place = str(tmp_path / "s") if kind == "local" else f"memory://{uuid.uuid4().hex}/s"
    folder = Folder.at(place)
    folder.write(STATE, b"old!")  # as long as the new one
    bring_up(staging, place)
    trial = Folder.at(f"{place}/trial_1")
    assert folder.read(STATE) == b"new!"
    assert (trial.read("result.json"), trial.read("params.json")) == (b"1\n2\n", b"{}")
    trial.write("params.json", b"[]")  # whoever wrote this, Tune writes it once
    trial.write("result.json", b"1\n")
    bring_up(staging, place)
    assert (trial.read("result.json"), trial.read("params.json")) == (b"1\n2\n", b"[]")


def test_storage_that_comes_back_is_waited_for(
    staging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "s"
    place.write_text("")  # in its way lies a file
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            place.unlink()

    monkeypatch.setattr(time, "sleep", pause)
    bring_up(staging, str(place))
    assert (place / "trial_1" / "result.json").read_text() == "1\n2\n"
    assert len(pauses) == 3
    assert caplog.text.count("not saved yet; trying for 60 s more") == 1


def test_storage_that_stays_away_is_an_error(staging: Path, tmp_path: Path) -> None:
    place = tmp_path / "s"
    place.write_text("")
    began = time.monotonic()
    with pytest.raises(OSError, match="s"):
        bring_up(staging, str(place), patience_s=0.0)
    with pytest.raises(OSError, match="s"):
        bring_up(staging, str(place), until=lambda: True)
    assert time.monotonic() - began < brought_up.PATIENCE_S
