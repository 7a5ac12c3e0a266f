"""What a tracker has lost is logged again as it was, and what it has is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.tracking.state import mlflow_warnings, read_store
from tune_select.tracking.events import merge
from tune_select.tracking.link import spool_of
from tune_select.tracking.past_trials import knows_sweep, points_of
from tune_select.tracking.rejected import note_lost
from tune_select.tracking.sender import Sender
from tune_select.tracking.target import Target, sqlite_uri

pytestmark = mlflow_warnings

SWEEP = {"kind": "sweep", "time_ms": 1, "params": {}, "tags": {}, "resumed": True}
REPORTS = [
    {"epoch": 1, "val_loss": 2.0, "timestamp": 10, "pid": 7, "config/lr": 0.1},
    {"epoch": 1, "waiting_for_interval": 1, "timestamp": 11},
    {"epoch": 2, "val_loss": 1.0, "timestamp": 12, "done": True},
]


def past(trial: str = "a", status: str | None = "FINISHED") -> dict[str, Any]:
    points = points_of(REPORTS)
    told = {"time_ms": 10_000, "name": f"run of {trial}", "params": {"lr": "0.1"}}
    tags = {"arm": "cached"}
    return {
        "kind": "past", "trial": trial, "points": points, "status": status, "tags": tags, **told
    }  # fmt: skip


def metrics(trial: str, step: int, value: float) -> dict[str, Any]:
    values = {"epoch": float(step), "val_loss": value}
    return {"kind": "metrics", "trial": trial, "step": step, "time_ms": 99, "values": values}


def send(sender: Sender, *events: dict[str, Any]) -> None:
    sender.connect()
    for event in merge(events):
        sender.send(event)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sqlite_uri(tmp_path_factory.mktemp("store") / "mlflow.db")


def test_reports_become_the_points_that_the_callback_would_have_logged() -> None:
    assert points_of(REPORTS) == [
        (1, 10_000, {"epoch": 1.0, "val_loss": 2.0}),
        (2, 12_000, {"epoch": 2.0, "val_loss": 1.0}),
    ]


def test_what_is_lost_is_logged_again_and_what_is_there_stays(store: str, tmp_path: Path) -> None:
    uri, target = store, Target(store, "e", "sweep", "id-7")
    assert knows_sweep(uri, "e", "id-7") is False
    send(Sender(target, tmp_path), SWEEP, past(), past("b", None))
    assert knows_sweep(uri, "e", "id-7") is True
    assert knows_sweep(uri, "e", "id-8") is False
    spool_of(tmp_path).mkdir()
    assert knows_sweep(uri, "e", "id-7", tmp_path) is True
    note_lost(spool_of(tmp_path))  # what the sweep's writer saw, whatever is there now
    assert knows_sweep(uri, "e", "id-7", tmp_path) is False
    before = read_store(uri, "e")
    points = {"epoch": [(1, 1.0), (2, 2.0)], "val_loss": [(1, 2.0), (2, 1.0)]}
    assert before["a"]["points"] == points
    assert (before["a"]["status"], before["b"]["status"]) == ("FINISHED", "RUNNING")
    assert before["a"]["params"] == {"lr": "0.1"}
    assert before["a"]["tags"]["arm"] == "cached"
    # The trial that goes on repeats its last epoch, and both are told of once more.
    send(
        Sender(target, tmp_path),
        past(),
        past("b", None),
        metrics("b", 2, 1.0),
        metrics("b", 3, 0.5),
    )
    after = read_store(uri, "e")
    assert after["a"] == before["a"]
    assert after["b"]["points"]["val_loss"] == [(1, 2.0), (2, 1.0), (3, 0.5)]


def test_an_attempt_that_failed_half_way_is_taken_up_again(store: str, tmp_path: Path) -> None:
    target = Target(store, "f", "sweep", "id-9")
    sender = Sender(target, tmp_path)
    sender.connect()
    whole, log_batch = [], sender._client.log_batch

    def fails_once(run_id: str, metrics: Any = (), **others: Any) -> None:
        if metrics and not whole:
            whole.append(metrics)
            raise ConnectionError("away")
        log_batch(run_id, metrics=metrics, **others)

    sender._client.log_batch = fails_once
    with pytest.raises(ConnectionError):
        send(sender, SWEEP, past())
    send(Sender(target, tmp_path), past())
    run = read_store(store, "f")["a"]
    assert run["points"]["val_loss"] == [(1, 2.0), (2, 1.0)]
    assert run["status"] == "FINISHED"
