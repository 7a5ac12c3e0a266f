"""The journal, the writer process and MLflow together: what is sent, kept, found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.tracking.state import mlflow_warnings, read_store
from tune_select.tracking import flush_spool, log_to_sweep_run, sqlite_uri
from tune_select.tracking import link as link_module
from tune_select.tracking.link import link_to, read_target, release, spool_of
from tune_select.tracking.server import free_port
from tune_select.tracking.spool import SpoolBusyError, count_unsent, read_status
from tune_select.tracking.target import Target, make_target

pytestmark = mlflow_warnings
SWEEP = {"kind": "sweep", "time_ms": 1, "params": {}, "tags": {}, "resumed": False}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sqlite_uri(tmp_path_factory.mktemp("store") / "mlflow.db")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if spool_of(tmp_path) in link_module._links:
        link_module._links[spool_of(tmp_path)].drain(0, print)  # ends the writer
    release(spool_of(tmp_path))


def target_of(uri: str, folder: Path) -> Target:
    return make_target(uri, folder.name, "sweep", "id", {}, folder)


def trial_events(trial: str, epochs: int, first: int = 1) -> Iterator[dict[str, Any]]:
    now = int(time.time() * 1000)
    yield {"kind": "start", "trial": trial, "name": trial, "time_ms": now, "params": {"lr": "1"},
           "tags": {"trial_id": trial}}  # fmt: skip
    for epoch in range(first, epochs + 1):
        yield {"kind": "metrics", "trial": trial, "time_ms": now + epoch, "step": epoch,
               "values": {"epoch": float(epoch), "loss": 1 / epoch}}  # fmt: skip


def points(trial: dict[str, Any]) -> list[int]:
    return [step for step, _ in trial["points"]["loss"]]


def test_everything_arrives_and_nothing_stays(store: str, folder: Path) -> None:
    link = link_to(spool_of(folder), target_of(store, folder))
    for event in [SWEEP, *trial_events("a", 30), *trial_events("b", 30)]:
        link.append(event)
    assert link.drain(60, print)
    runs = read_store(store, folder.name)
    assert set(runs) == {"parent", "a", "b"}
    assert points(runs["a"]) == points(runs["b"]) == list(range(1, 31))
    assert count_unsent(spool_of(folder)) == 0
    assert read_status(spool_of(folder)).error is None


def test_the_sweep_s_end_is_logged_by_a_later_process_too(
    store: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = link_to(spool_of(folder), replace(target_of(store, folder), tags={"who": "me"}))
    for event in [SWEEP, *trial_events("a", 3)]:
        link.append(event)
    (folder / "report.html").write_text("<p>report")
    (folder / "history" / "k1").mkdir(parents=True)
    (folder / "history" / "k1" / "manifest.json").write_text("{}")
    names = ["report.html", "history", "missing.csv"]
    arguments = (store, folder.name, "sweep", "id", folder, names)
    assert log_to_sweep_run(
        *arguments,
        metrics={"regret pp": 0.5},
        params={"selection": {"fraction": 0.1}},
        tags={"note": "n"},
        trial_tags={"a": {"configuration": 3}},
    )
    runs = read_store(store, folder.name)
    parent = runs["parent"]
    assert parent["status"] == "FINISHED"
    assert parent["artifacts"] == ["history", "report.html"]
    assert parent["points"] == {"regret pp": [(0, 0.5)]}
    assert parent["params"] == {"selection/fraction": "0.1"}
    assert (parent["tags"]["note"], parent["tags"]["who"]) == ("n", "me")
    assert runs["a"]["tags"]["configuration"] == "3"
    assert runs["a"]["status"] == "KILLED", "it was never ended"
    assert "no missing.csv to log" in caplog.text
    # Once more, from a process that has no link: the same run, nothing twice.
    assert log_to_sweep_run(*arguments, status="FAILED")
    assert read_store(store, folder.name)["parent"]["status"] == "FAILED"
    with pytest.raises(ValueError, match="status must be FINISHED, FAILED, KILLED or None, got"):
        log_to_sweep_run(*arguments, status="DONE")


def test_the_report_of_a_sweep_may_be_elsewhere_than_its_journal(
    store: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = link_to(spool_of(folder), target_of(store, folder))
    for event in [SWEEP, *trial_events("a", 3)]:
        link.append(event)
    elsewhere = tmp_path_factory.mktemp("copy")
    (elsewhere / "report.html").write_text("<p>report")
    (elsewhere / "tables" / "deep").mkdir(parents=True)
    (elsewhere / "tables" / "deep" / "a.csv").write_text("a,b")
    names = ["report.html", "tables/deep"]
    assert log_to_sweep_run(store, folder.name, "sweep", "id", elsewhere, names)
    assert read_store(store, folder.name)["parent"]["artifacts"] == ["report.html", "tables"]
    assert not spool_of(elsewhere).exists()
    assert not list(spool_of(folder).glob("outbox-*")), "copies are removed once sent"
    assert link_module.live_link("id") is None


def test_a_server_that_stays_away_costs_a_bounded_wait_and_nothing_is_lost(
    store: str, folder: Path
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    link = link_to(spool_of(folder), target_of(away, folder))
    for event in [SWEEP, *trial_events("a", 20)]:
        link.append(event)
    (folder / "report.html").write_text("<p>report")
    said: list[str] = []
    began = time.monotonic()
    assert not log_to_sweep_run(
        away, folder.name, "sweep", "id", folder, ["report.html"],
        drain_timeout_s=5, progress=said.append,
    )  # fmt: skip
    assert time.monotonic() - began < 20
    assert "25 events to send" in said[0]
    assert "server away since" in said[-1]
    assert f"kept in {spool_of(folder)}" in said[-1]
    assert flush_spool(folder, store, progress=said.append)
    runs = read_store(store, folder.name)
    assert points(runs["a"]) == list(range(1, 21))
    assert runs["parent"]["artifacts"] == ["report.html"]
    assert runs["parent"]["status"] == "FINISHED"
    assert flush_spool(folder), "nothing left to do"


def test_what_a_killed_driver_left_is_sent_and_marked(store: str, folder: Path) -> None:
    code = """
import os, sys, time
from tests.tune_select.tracking.test_link import SWEEP, trial_events, target_of
from tune_select.tracking.link import link_to, spool_of
from pathlib import Path
folder = Path(sys.argv[2])
link = link_to(spool_of(folder), target_of(sys.argv[1], folder))
for event in [SWEEP, *trial_events("a", 500)]:
    link.append(event)
os.kill(os.getpid(), 9)
"""
    driver = subprocess.run([sys.executable, "-c", code, store, str(folder)], check=False)
    assert driver.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while count_unsent(spool_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    # A resumed driver takes over, also while the orphaned writer is still at work.
    link = link_to(spool_of(folder), target_of(store, folder))
    for event in [{**SWEEP, "resumed": True}, *trial_events("a", 510, first=490)]:
        link.append(event)
    assert link.drain(60, print)
    runs = read_store(store, folder.name)
    assert points(runs["a"]) == list(range(1, 511))
    assert runs["a"]["status"] == runs["parent"]["status"] == "RUNNING"
    assert runs["a"]["tags"]["repeated_epochs"] == "490-500"


def test_a_killed_writer_is_replaced(store: str, folder: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr("tune_select.tracking.link._CHECK_EVERY_S", 0.0)
    link = link_to(spool_of(folder), target_of(store, folder))
    link.append(SWEEP)
    assert link._writer is not None
    os.kill(link._writer.pid, signal.SIGKILL)
    link._writer.wait(10)
    for event in trial_events("a", 5):
        link.append(event)
    assert link.drain(60, print)
    assert "ended unexpectedly" in caplog.text
    assert points(read_store(store, folder.name)["a"]) == [1, 2, 3, 4, 5]


def test_what_mlflow_refuses_for_good_is_put_aside(store: str, folder: Path) -> None:
    link = link_to(spool_of(folder), target_of(store, folder))
    gone = {"kind": "artifact", "trial": "a", "time_ms": 5, "path": "gone.txt"}
    odd = {"kind": "no_such_kind", "trial": "a", "time_ms": 6}
    for event in [SWEEP, *trial_events("a", 2), gone, odd, *trial_events("b", 2)]:
        link.append(event)
    assert link.drain(60, print)
    assert points(read_store(store, folder.name)["b"]) == [1, 2]
    lines = (spool_of(folder) / "rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"]["kind"] for line in lines] == ["artifact", "no_such_kind"]
    assert "gone.txt" in json.loads(lines[0])["reason"]


def test_a_missing_variable_in_the_uri_is_named(folder: Path, monkeypatch) -> None:
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    uri = "postgresql://me:${NO_SUCH_PASSWORD}@127.0.0.1/db"
    link = link_to(spool_of(folder), target_of(uri, folder))
    link.append(SWEEP)
    said: list[str] = []
    assert not link.drain(4, said.append)
    assert "NO_SUCH_PASSWORD, which is not set" in said[-1]
    assert count_unsent(spool_of(folder)) == 1


def test_passwords_are_in_no_file_and_no_process_list(folder: Path) -> None:
    uri = f"http://me:hunter2@127.0.0.1:{free_port()}"
    link = link_to(spool_of(folder), target_of(uri, folder))
    link.append(SWEEP)
    deadline = time.monotonic() + 60
    while read_status(spool_of(folder)).error is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert read_status(spool_of(folder)).error is not None
    for path in folder.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path
    assert link._writer is not None
    listed = subprocess.run(
        ["ps", "-o", "args", "-p", str(link._writer.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "tracking.writer" in listed
    assert "hunter2" not in listed
    target = read_target(spool_of(folder))
    assert target is not None
    assert target.tracking_uri.startswith("http://me:***@127.0.0.1:")
    said: list[str] = []
    link.drain(1, said.append)
    assert "hunter2" not in "".join(said)


def test_a_forgotten_password_keeps_the_events(folder: Path, monkeypatch, caplog) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    link = link_to(spool_of(folder), target_of("http://me:***@127.0.0.1:1", folder))
    for event in [SWEEP, *trial_events("a", 3)]:
        link.append(event)
    assert not link.drain(1, print)
    assert caplog.text.count("password of http://me:***@127.0.0.1:1 is not known") == 1
    assert count_unsent(spool_of(folder)) == 5
    release(spool_of(folder))
    with pytest.raises(ValueError, match="is not stored: give tracking_uri"):
        flush_spool(folder)


def test_another_sweep_s_folder_is_refused(folder: Path) -> None:
    target = target_of("http://127.0.0.1:1", folder)
    link_to(spool_of(folder), target)
    with pytest.raises(ValueError, match="events of sweep_id id, got sweep_id other"):
        link_to(spool_of(folder), replace(target, sweep_id="other"))


def test_a_running_sweep_is_not_flushed(folder: Path) -> None:
    link = link_to(spool_of(folder), target_of("http://127.0.0.1:1", folder))
    link.append(SWEEP)
    with pytest.raises(SpoolBusyError, match="another process logs to"):
        flush_spool(folder)


def test_flushing_a_folder_without_a_spool_does_nothing(folder: Path) -> None:
    assert flush_spool(folder)
