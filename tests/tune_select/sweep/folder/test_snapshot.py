"""Tune's state comes back whatever happened to its files; a wrong sweep never begins."""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tune_select.storage import Folder
from tune_select.sweep.config import SweepError
from tune_select.sweep.folder.snapshot import (
    SNAPSHOT,
    KeepSnapshots,
    SnapshotDamagedError,
    is_kept,
    pack,
    restore_state,
    unpack,
)

STAMP = "2026-11-29_01-12-33"
TRIAL = [json.dumps({"config": {"lr": 1}}), json.dumps({"last_result": {}})]
FILES = {
    f"experiment_state-{STAMP}.json": json.dumps({"trial_data": [TRIAL]}).encode(),
    f"callback-states-{STAMP}.pkl": b"pickled",
    f"basic-variant-state-{STAMP}.json": b'{"_counter": 1}',
}


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    place = str(tmp_path / "s") if request.param == "local" else f"memory://{uuid.uuid4().hex}/s"
    folder = Folder.at(place)
    for name, content in FILES.items():
        folder.write(name, content)
    return folder


def test_a_copy_is_whole_or_refused() -> None:
    whole = pack(FILES)
    assert unpack(whole) == FILES
    generator = random.Random(0)
    for place in [*range(0, 60), *generator.sample(range(60, len(whole)), 200)]:
        damaged = whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :]
        with pytest.raises(SnapshotDamagedError):
            unpack(damaged)
    for place in range(0, len(whole), 7):
        with pytest.raises(SnapshotDamagedError):
            unpack(whole[:place])


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "halved": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "flipped": lambda content: content[:5] + bytes([content[5] ^ 8]) + content[6:],
    "deleted": lambda content: None,
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_damage_is_undone(folder: Folder, name: str, how: str) -> None:
    folder.write(SNAPSHOT, pack(FILES))
    damaged = DAMAGE[how](FILES[name])
    if damaged is None:
        folder.filesystem.delete_file(folder.file(name))
    else:
        folder.write(name, damaged)
    folder.write("experiment_state-2099-01-01_00-00-00.json", b'{"trial_data": [')  # a newer half
    assert restore_state(folder.location)
    assert {name: folder.read(name) for name in FILES} == FILES
    with pytest.raises(FileNotFoundError):
        folder.read("experiment_state-2099-01-01_00-00-00.json")
    assert is_kept(folder.location)


@pytest.mark.parametrize("how", ["halved", "emptied", "flipped"])
def test_without_a_copy_tunes_own_is_used_if_it_is_sound_and_refused_if_not(
    folder: Folder, how: str
) -> None:
    folder.write(SNAPSHOT, b"not a snapshot")
    assert restore_state(folder.location)
    assert not is_kept(folder.location)
    name = f"experiment_state-{STAMP}.json"
    folder.write(name, DAMAGE[how](FILES[name]) or b"")
    with pytest.raises(SweepError, match="cannot be resumed: experiment_state"):
        restore_state(folder.location)


def test_trials_without_any_state_are_not_begun_anew(folder: Folder) -> None:
    for name in FILES:
        folder.filesystem.delete_file(folder.file(name))
    assert not restore_state(folder.location)  # nothing was ever begun
    Folder.at(f"{folder.location}/Trial_0").write("result.json", b"{}")
    with pytest.raises(SweepError, match="there is no experiment_state"):
        restore_state(folder.location)


def test_each_save_of_tunes_is_copied_once(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    for name, content in FILES.items():
        (staging / name).write_bytes(content)
    (staging / "tmp-callback-states.pkl").write_bytes(b"half")
    results = tmp_path / "results"
    keeper = KeepSnapshots(str(results), restoring=False)
    trials = [SimpleNamespace(local_experiment_path=str(staging))]
    keeper.setup()
    keeper.on_step_end(0, trials)
    assert unpack((results / SNAPSHOT).read_bytes()) == FILES
    (results / SNAPSHOT).unlink()
    keeper.on_experiment_end(trials)
    assert not (results / SNAPSHOT).exists(), "nothing was saved since"
    newest = staging / f"experiment_state-{STAMP}.json"
    os.utime(newest, ns=(1, 1))
    keeper.on_experiment_end(trials)
    assert unpack((results / SNAPSHOT).read_bytes()) == FILES


def test_a_restore_that_tune_gave_up_is_an_error_before_any_trial() -> None:
    keeper = KeepSnapshots("/results/s", restoring=True)
    with pytest.raises(SweepError, match="cannot read its own state"):
        keeper.setup()
    keeper.set_state(keeper.get_state())
    keeper.setup()
