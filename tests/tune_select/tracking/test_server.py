"""A live `mlflow server`: shown to the user, stopped and started under a sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.tracking.state import mlflow_warnings, read_store
from tests.tune_select.tracking.test_link import SWEEP, points, target_of, trial_events
from tune_select.tracking import log_to_sweep_run, serve, sqlite_uri
from tune_select.tracking.link import SpoolLink, link_to, release, spool_of, write_target
from tune_select.tracking.server import free_port, running_server, store_of
from tune_select.tracking.spool import count_unsent, read_status

pytestmark = mlflow_warnings


def log_rounds(link: SpoolLink, trials: list[str], epochs: range) -> list[float]:
    """All trials report each epoch in turn; returns the seconds that each call took."""
    took = []
    for epoch in epochs:
        for trial in trials:
            event = {"kind": "metrics", "trial": trial, "time_ms": epoch, "step": epoch,
                     "values": {"epoch": float(epoch), "loss": 1 / epoch}}  # fmt: skip
            began = time.perf_counter()
            link.append(event)
            took.append(time.perf_counter() - began)
    return took


def wait_until_sent(folder: Path, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while count_unsent(spool_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)


def outage(folder: Path, trials: int, epochs: int, database: str | None = None) -> list[float]:
    """A sweep whose server is killed in the middle and comes back; checks that all has arrived.

    Returns:
        Seconds per call of the callback's kind.
    """
    database = database or sqlite_uri(folder / "server.db")
    port = free_port()
    server = {"port": port, "artifacts": folder / "artifacts"}
    names = [f"t{i}" for i in range(trials)]
    with running_server(database, **server) as (url, process):
        link = link_to(spool_of(folder), target_of(url, folder))
        for event in [SWEEP, *(next(trial_events(name, 0)) for name in names)]:
            link.append(event)
        third = epochs // 3
        took = log_rounds(link, names, range(1, third + 1))
        wait_until_sent(folder)
        took += log_rounds(link, names, range(third + 1, 2 * third + 1))
        os.killpg(process.pid, signal.SIGKILL)  # in the middle of whatever it was doing
    took += log_rounds(link, names, range(2 * third + 1, epochs + 1))
    deadline = time.monotonic() + 60
    while read_status(spool_of(folder)).away_since_s is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert read_status(spool_of(folder)).away_since_s is not None
    for name in names:
        link.append({"kind": "end", "trial": name, "time_ms": 10**6, "status": "FINISHED"})
    (folder / "report.html").write_text("<p>report")
    with running_server(database, **server) as (url, _):
        assert log_to_sweep_run(url, folder.name, "sweep", "id", folder, ["report.html"])
        runs = read_store(url, folder.name)
    assert len(runs) == trials + 1
    assert runs["parent"]["artifacts"] == ["report.html"]
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    for name in names:
        assert points(runs[name]) == list(range(1, epochs + 1)), name
        assert "repeated_epochs" not in runs[name]["tags"], name
    assert not (spool_of(folder) / "rejected.jsonl").exists()
    return took


def test_a_server_that_is_killed_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    took = sorted(outage(tmp_path, trials=10, epochs=12))
    assert took[len(took) // 2] < 0.001, "an outage must not be felt"


@pytest.mark.slow
def test_a_thousand_trials_over_a_server_restart(tmp_path: Path) -> None:
    took = sorted(outage(tmp_path, trials=1000, epochs=12))
    assert took[len(took) // 2] < 0.001


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's folder with a store that holds the sweep and one trial."""
    folder = tmp_path_factory.mktemp("logged")
    link = link_to(spool_of(folder), target_of(sqlite_uri(folder / "mlflow.db"), folder))
    for event in [SWEEP, *trial_events("a", 3)]:
        link.append(event)
    assert link.drain(120, print)
    release(spool_of(folder))
    return folder


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_the_page_of_a_sweep_is_served_on_this_machine_only(
    logged: Path, ended_by: signal.Signals
) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tune_select", "ui", str(logged)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        url = next(word for word in line.split() if word.startswith("http"))
        assert url.startswith("http://127.0.0.1:")
        url, _, page = url.partition("/#")
        assert page == "/experiments/1/runs?workflowType=machine_learning"
        request = urllib.request.Request(
            f"{url}/api/2.0/mlflow/runs/search",
            data=json.dumps({"experiment_ids": ["1"]}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            runs = json.load(answer)["runs"]
        assert len(runs) == 2
        server.send_signal(ended_by)
        assert server.wait(30) == 0
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"{url}/health")
        server.stderr.close()
    finally:
        server.kill()
        server.wait()


def test_the_store_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="has no MLflow store"):
        store_of(tmp_path)
    write_target(spool_of(tmp_path), target_of("http://me:hunter2@host:5000", tmp_path))
    serve(tmp_path)
    assert "http://me:***@host:5000" in capsys.readouterr().err
    (tmp_path / "mlflow.db").touch()
    assert store_of(tmp_path) == sqlite_uri(tmp_path / "mlflow.db")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    missing: Any = sqlite_uri(tmp_path / "no" / "such" / "folder" / "mlflow.db")
    (tmp_path / "no").write_text("a file where a folder should be")
    with (
        pytest.raises(RuntimeError, match="did not come up at http://127.0.0.1"),
        running_server(missing, log=log),
    ):
        pass
