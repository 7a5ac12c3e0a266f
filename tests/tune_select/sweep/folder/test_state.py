import json

import pytest

from tune_select.sweep.config import SweepError
from tune_select.sweep.ending import Ending
from tune_select.sweep.folder.state import (
    STATE,
    SweepState,
    check_place,
    check_same,
    fingerprint,
)

SETTINGS = {"name": "s", "train": {"lr": 0.1}, "tune": {"time_budget_s": 5.0, "seeds": [0]}}


def test_what_is_written_is_read_back(tmp_path):
    state = SweepState(SETTINGS).plans("promotion", [{"lr": 1}])
    state = state.ended(Ending.interrupted(2), "It was interrupted.")
    state.write(str(tmp_path))
    assert SweepState.read(str(tmp_path)) == state
    assert state.begun().ending is None
    assert state.begun().planned == {"promotion": fingerprint([{"lr": 1}])}


def test_every_byte_counts(tmp_path):
    SweepState(SETTINGS, Ending.failed("x"), "y").write(str(tmp_path))
    whole = (tmp_path / STATE).read_bytes()
    before = SweepState.read(str(tmp_path))
    for place in range(0, len(whole), 3):
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for damaged in (whole[:place], flipped):
            (tmp_path / STATE).write_bytes(damaged)
            assert SweepState.read(str(tmp_path)) in (None, before)  # white space may differ
    (tmp_path / STATE).unlink()
    assert SweepState.read(str(tmp_path)) is None


@pytest.mark.parametrize("text", ["", "[]", "3", '{"state": 1}', json.dumps({"format": 1})])
def test_other_json_is_no_state(tmp_path, text):
    (tmp_path / STATE).write_text(text)
    assert SweepState.read(str(tmp_path)) is None


def test_what_a_newer_version_wrote_is_refused(tmp_path):
    (tmp_path / STATE).write_text(json.dumps({"format": 2, "state": {}}))
    with pytest.raises(SweepError, match=r"newer version of tune-select \(format 2, .* up to 1\)"):
        SweepState.read(str(tmp_path))


def test_a_folder_that_was_moved_is_refused_unless_the_old_place_leads_there(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    state = SweepState(SETTINGS, location=str(old))
    state.write(str(new))
    assert SweepState.read(str(new)) == state
    with pytest.raises(SweepError, match=rf"was moved here from {old}, .*ln -s {new} {old}"):
        check_place(state, str(new))
    old.symlink_to(new)
    check_place(state, str(new))
    check_place(SweepState(SETTINGS), str(new))  # an older version's
    remote = SweepState(SETTINGS, location="s3://bucket/a/s?endpoint_override=x")
    check_place(remote, "s3://bucket/a/s/")
    with pytest.raises(SweepError, match="was moved here"):
        check_place(remote, "s3://bucket/b/s")


def test_another_sweep_under_the_same_name_is_refused_by_key_and_values():
    changed = {**SETTINGS, "train": {"lr": 0.2, "momentum": 0.9}}
    with pytest.raises(SweepError) as refused:
        check_same(SETTINGS, changed, "/results/s")
    assert "train.lr was 0.1 and is now 0.2" in str(refused.value)
    assert "train.momentum was None and is now 0.9" in str(refused.value)


def test_where_and_how_long_it_runs_may_differ():
    changed = {
        **SETTINGS,
        "tune": {"time_budget_s": 50.0, "seeds": [0]},
        "cluster": {"num_cpus": 2},
    }
    check_same(SETTINGS, changed, "/results/s")
