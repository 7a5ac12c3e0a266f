"""A trial that starts again keeps its log, also where the storage holds an old copy of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from pyarrow import fs as pafs
from ray.train._internal.storage import StorageContext
from ray.tune.logger import JsonLoggerCallback

from tune_select.reporting import EARLIER, packed
from tune_select.sweep.folder.result_log import ForgetEarlier, ResultLog, reports_of
from tune_select.sweep.folder.slot_times import REPORTED, STARTED


class FakeTrial(SimpleNamespace):
    __hash__ = object.__hash__


def trial_in(tmp_path: Path, driver: str) -> Any:
    """A trial as its log sees it: a folder beside the driver, one in the storage, a checkpoint."""
    local, remote = tmp_path / driver, tmp_path / "storage"
    local.mkdir()
    remote.mkdir(exist_ok=True)
    return FakeTrial(
        config={},
        last_result=None,
        status="PAUSED",
        trial_id="a1",
        checkpoint="epoch 2",
        local_path=str(local),
        init_local_path=lambda: None,
        storage=SimpleNamespace(
            trial_dir_name="a1",
            trial_fs_path=str(remote),
            storage_filesystem=pafs.LocalFileSystem(),
        ),
    )


def rows(tmp_path: Path, driver: str) -> list[dict[str, Any]]:
    lines = (tmp_path / driver / "result.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def epochs(tmp_path: Path, driver: str) -> list[int]:
    return [row["epoch"] for row in rows(tmp_path, driver)]


def log_and_start_again(log: JsonLoggerCallback, tmp_path: Path) -> list[int]:
    """Two epochs, a copy to the storage, two more, and a new start."""
    trial = trial_in(tmp_path, "driver")
    trial.checkpoint = None
    log.log_trial_start(trial)
    for epoch in (1, 2, 3, 4):
        log.log_trial_result(epoch, trial, {"epoch": epoch})
        if epoch == 2:
            written = (tmp_path / "driver" / "result.json").read_bytes()
            (tmp_path / "storage" / "result.json").write_bytes(written)
    trial.checkpoint = "epoch 4"
    log.log_trial_start(trial)
    log.log_trial_result(5, trial, {"epoch": 5})
    log.log_trial_end(trial)
    return epochs(tmp_path, "driver")


def test_nothing_is_lost_when_a_trial_starts_again(tmp_path: Path) -> None:
    assert log_and_start_again(ResultLog(), tmp_path) == [1, 2, 3, 4, 5]


def test_tune_s_own_log_would_lose_epochs(tmp_path: Path) -> None:
    """When this fails, Tune has mended it, and ``ResultLog`` can go."""
    assert log_and_start_again(JsonLoggerCallback(), tmp_path) == [1, 2, 5]


@pytest.mark.parametrize("stored", [True, False])
def test_a_resumed_driver_goes_on_from_the_storage(tmp_path: Path, stored: bool) -> None:
    log_and_start_again(ResultLog(), tmp_path)
    if not stored:
        (tmp_path / "storage" / "result.json").unlink()
    log, trial = ResultLog(), trial_in(tmp_path, "successor")
    log.log_trial_start(trial)
    log.log_trial_result(3, trial, {"epoch": 3})
    log.log_trial_end(trial)
    assert epochs(tmp_path, "successor") == ([1, 2, 3] if stored else [3])


def test_a_report_stands_beside_its_trials_latest_start(tmp_path: Path) -> None:
    log_and_start_again(ResultLog(), tmp_path)
    found = rows(tmp_path, "driver")
    starts = [row[STARTED] for row in found]
    assert len(set(starts[:4])) == 1
    assert starts[4] > starts[0]
    times = [row[REPORTED] for row in found]
    assert times == sorted(times)
    assert times[3] <= starts[4] <= times[4]


def test_a_resumed_log_goes_on_behind_its_last_whole_line(tmp_path: Path) -> None:
    trial = trial_in(tmp_path, "driver")
    (tmp_path / "storage" / "result.json").write_bytes(b'{"epoch": 1}\n{"epoch": 2}\n{"epo')
    log = ResultLog()
    log.log_trial_start(trial)
    log.log_trial_result(3, trial, {"epoch": 3})
    log.log_trial_end(trial)
    assert epochs(tmp_path, "driver") == [1, 2, 3]


@pytest.mark.parametrize("cut", [b'{"epo', b"\x00\x00\x00\n", b"3\n", b"\x00" * 4096, b""])
def test_a_cut_off_report_costs_itself_and_no_other(tmp_path: Path, cut: bytes) -> None:
    trial = trial_in(tmp_path, "driver")
    trial.trial_id = "a"
    (tmp_path / "storage" / "result.json").write_bytes(b'{"epoch": 1}\n{"epoch": 2}\n' + cut)
    found = SimpleNamespace(trials=[trial], trial_dataframes={"a": pd.DataFrame()})
    assert reports_of(found)["a"]["epoch"].tolist() == [1, 2]
    (tmp_path / "storage" / "result.json").unlink()
    assert reports_of(found)["a"].empty


def test_what_a_lost_log_has_cost_a_trial_that_has_ended_is_taken_from_tune_s_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial = trial_in(tmp_path, "driver")
    trial.last_result = {"epoch": 3, "val_accuracy": 0.5, "config": {"arm": "full"}}
    found = SimpleNamespace(trials=[trial], trial_dataframes={"a1": pd.DataFrame()})
    assert reports_of(found)["a1"].empty, "it goes on, and reports again"
    trial.status = "TERMINATED"
    (row,) = reports_of(found)["a1"].to_dict("records")
    assert row == {"epoch": 3, "val_accuracy": 0.5, "config/arm": "full"}
    assert reports_of(found)["a1"]["epoch"].tolist() == [3]
    assert caplog.text.count("its log ends at epoch 0; its last report, of epoch 3") == 1
    log = tmp_path / "storage" / "result.json"
    log.write_bytes(b'{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3, "val')
    assert reports_of(found)["a1"]["epoch"].tolist() == [1, 2, 3]
    log.write_bytes(b'{"epoch": 2}\n{"epoch": 3}\n\x00')
    assert reports_of(found)["a1"]["epoch"].tolist() == [2, 3], "nothing twice"


def test_a_trial_that_never_started_has_reported_nothing(tmp_path: Path) -> None:
    """A sweep that is stopped while the next trial waits for its process still gets its tables."""
    trial = trial_in(tmp_path, "driver")
    trial.storage = StorageContext(str(tmp_path / "storage"), experiment_dir_name="sweep")
    with pytest.raises(RuntimeError, match="trial_dir_name"):
        _ = trial.storage.trial_fs_path
    found = SimpleNamespace(trials=[trial], trial_dataframes={"a1": pd.DataFrame()})
    assert reports_of(found)["a1"].empty


def test_each_epoch_of_a_report_is_a_line_and_only_the_last_is_remembered(tmp_path: Path) -> None:
    log, trial = ResultLog(), trial_in(tmp_path, "driver")
    log.log_trial_start(trial)
    told = packed([{"epoch": 1}, {"epoch": 2, "val_accuracy": 0.5}, {"epoch": 3}])
    log.log_trial_result(1, trial, told)
    log.log_trial_end(trial)
    ForgetEarlier().on_trial_result(1, [], trial, told)
    assert epochs(tmp_path, "driver") == [1, 2, 3]
    assert [row.get("val_accuracy") for row in rows(tmp_path, "driver")] == [None, 0.5, None]
    assert EARLIER not in told
    assert told["epoch"] == 3
