"""The writer's loop with a stand-in for MLflow: what it repeats, gives up, notes."""

from __future__ import annotations

import errno
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tune_select.tracking import writer as module
from tune_select.tracking.experiment import ExperimentDeletedError, ExperimentLostError
from tune_select.tracking.faults import describe, is_connectivity, is_hopeless
from tune_select.tracking.rejected import (
    forget_lost,
    is_lost,
    put_aside,
    rejected_reasons,
    take_rejected,
)
from tune_select.tracking.spool import SpoolAppender, count_unsent, read_status
from tune_select.tracking.target import Target, sqlite_uri
from tune_select.tracking.writer import (
    Orders,
    StopSending,
    Writer,
)


class StatementError(Exception):
    """As SQLAlchemy's: with what the database's own driver raised."""

    def __init__(self, said: str, orig: Exception) -> None:
        super().__init__(said)
        self.orig = orig


TARGET = Target("http://me:hunter2@host:1", "e", "s", "id")


class StandIn:
    """Records what is sent; fails as its class attributes say."""

    sent: list[Any]
    connect_failures: list[Exception]
    send_failures: list[Exception]
    poison: str | None
    abandoned: int

    def __init__(self, target: Target, folder: Path) -> None:
        pass

    def connect(self) -> None:
        if self.connect_failures:
            raise self.connect_failures.pop(0)

    def ping(self) -> None:
        pass

    def send(self, event: dict[str, Any]) -> None:
        if event["trial"] == self.poison:
            raise RuntimeError("internal error of the server: http://me:hunter2@host:1")
        if self.send_failures:
            raise self.send_failures.pop(0)
        self.sent.append(event["trial"])

    def abandon(self, time_ms: int) -> None:
        type(self).abandoned += 1


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    for name, value in {
        "sent": [], "connect_failures": [], "send_failures": [], "poison": None, "abandoned": 0
    }.items():  # fmt: skip
        monkeypatch.setattr(StandIn, name, value, raising=False)
    monkeypatch.setattr(module, "Sender", StandIn)
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.002)
    monkeypatch.setattr(module, "POLL_S", 0.001)
    return StandIn


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    appender = SpoolAppender(tmp_path)
    for trial in ("a", "b", "c"):
        appender.append({"kind": "tags", "trial": trial, "time_ms": 1, "tags": {}})
    appender.close()
    return tmp_path


def told(*commands: str) -> Orders:
    orders = Orders()
    orders.listen(io.StringIO("".join(f"{command}\n" for command in commands)))
    return orders


def test_an_outage_is_sat_out(spool: Path, stand_in: type[StandIn], caplog) -> None:
    stand_in.connect_failures = [ConnectionError("away: http://me:hunter2@host:1")] * 5
    stand_in.send_failures = [TimeoutError()] * 30
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert stand_in.sent == ["a", "b", "c"]
    assert count_unsent(spool) == 0
    assert read_status(spool).away_since_s is None
    assert not (spool / "rejected.jsonl").exists()
    assert caplog.text.count("takes no events") == 1, "once per outage"
    assert caplog.text.count("is back") == 1
    assert "hunter2" not in caplog.text


def test_an_event_that_alone_keeps_failing_is_put_aside(
    spool: Path, stand_in: type[StandIn]
) -> None:
    stand_in.poison = "b"
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert stand_in.sent == ["a", "c"]
    (line,) = (spool / "rejected.jsonl").read_text().splitlines()
    rejected = json.loads(line)
    assert rejected["event"]["trial"] == "b"
    assert rejected["reason"] == "RuntimeError: internal error of the server: http://me:***@host:1"


def test_nothing_is_put_aside_while_the_server_is_away(
    spool: Path, stand_in: type[StandIn], monkeypatch
) -> None:
    def away(self: StandIn) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(stand_in, "ping", away)
    stand_in.send_failures = [RuntimeError("an odd way to be away")] * 40
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert stand_in.sent == ["a", "b", "c"]
    assert not (spool / "rejected.jsonl").exists()


def test_an_orphan_sends_what_is_there_and_marks_the_sweep(
    spool: Path, stand_in: type[StandIn]
) -> None:
    Writer(spool, TARGET, told(), 60.0).run()
    assert stand_in.sent == ["a", "b", "c"]
    assert stand_in.abandoned == 1


def test_an_orphan_does_not_wait_for_ever(spool: Path, stand_in: type[StandIn]) -> None:
    stand_in.connect_failures = [ConnectionError("away")] * 100_000
    with pytest.raises(StopSending):
        Writer(spool, TARGET, told(), 0.05).run()
    assert count_unsent(spool) == 3
    assert read_status(spool).error == "ConnectionError: away"


def test_told_to_stop_it_stops(spool: Path, stand_in: type[StandIn]) -> None:
    stand_in.connect_failures = [ConnectionError("away")] * 100_000
    with pytest.raises(StopSending):
        Writer(spool, TARGET, told("drain", "stop"), 60.0).run()
    assert count_unsent(spool) == 3


def test_a_full_disk_does_not_end_it(spool: Path, stand_in: type[StandIn], monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_status", full)
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert stand_in.sent == ["a", "b", "c"]


class Moody(StandIn):
    """Answers pings with what is in ``pings``, in turn."""

    pings: list[Exception | None]

    def ping(self) -> None:
        error = self.pings.pop(0) if self.pings else None
        if error is not None:
            raise error


@pytest.fixture
def moody(stand_in: type[StandIn], monkeypatch: pytest.MonkeyPatch) -> type[Moody]:
    for name in ("sent", "connect_failures", "send_failures"):
        monkeypatch.setattr(Moody, name, [], raising=False)
    monkeypatch.setattr(Moody, "pings", [], raising=False)
    monkeypatch.setattr(module, "Sender", Moody)
    return Moody


def test_what_is_refused_while_the_experiment_is_deleted_waits_for_its_return(
    spool: Path, moody: type[Moody]
) -> None:
    moody.send_failures = [Coded("INVALID_PARAMETER_VALUE")]
    moody.pings = [ExperimentDeletedError("deleted")]
    moody.connect_failures = []
    with pytest.raises(StopSending):
        Writer(spool, TARGET, told("drain"), 60.0).run()
    assert count_unsent(spool) == 3
    assert rejected_reasons(spool) == []
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert moody.sent == ["a", "b", "c"]


def test_an_experiment_that_is_gone_is_made_anew_and_the_loss_is_noted(
    spool: Path, moody: type[Moody]
) -> None:
    moody.send_failures = [Coded("RESOURCE_DOES_NOT_EXIST")]
    moody.pings = [ExperimentLostError("gone")]
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert moody.sent == ["a", "b", "c"]
    assert is_lost(spool)
    assert rejected_reasons(spool) == []
    forget_lost(spool)
    assert not is_lost(spool)


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
def test_a_login_that_is_refused_for_a_while_loses_nothing(
    spool: Path, moody: type[Moody], code: str
) -> None:
    moody.send_failures = [Coded(code) for _ in range(30)]
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert moody.sent == ["a", "b", "c"]
    assert rejected_reasons(spool) == []


def test_artifacts_that_cannot_be_stored_hold_up_no_numbers(
    tmp_path: Path, moody: type[Moody]
) -> None:
    appender = SpoolAppender(tmp_path)
    for number in range(3):
        for kind in ("artifact", "tags"):
            appender.append({"kind": kind, "trial": f"{kind}-{number}", "time_ms": 1, "tags": {}})
    appender.close()
    full = OSError(28, "No space left on device")
    tries = [full] * module.ATTEMPTS  # of the first artifact; those behind it have one each
    moody.send_failures = tries
    order = iter([*tries, None, full, None, full, None])

    def send(self: Moody, event: dict[str, Any]) -> None:
        error = next(order)
        if error is not None:
            assert event["kind"] == "artifact"
            raise error
        self.sent.append(event["trial"])

    moody.send = send  # type: ignore[method-assign]
    Writer(tmp_path, TARGET, told("drain"), 60.0).run()
    assert moody.sent == ["tags-0", "tags-1", "tags-2"]
    assert len(rejected_reasons(tmp_path)) == 3


def test_what_was_refused_comes_back_as_what_logs_no_more_than_is_lacking(tmp_path: Path) -> None:
    point = (3, 30, {"loss": 1.0})
    put_aside(tmp_path, {"kind": "metrics", "trial": "a", "points": [point]}, "why")
    start = {"kind": "start", "trial": "a", "time_ms": 5, "name": "n", "params": {"x": "1"}}
    put_aside(tmp_path, {**start, "tags": {"arm": "full"}}, "why")
    artifact = {"kind": "artifact", "trial": None, "time_ms": 6, "path": "p", "artifact_path": ""}
    put_aside(tmp_path, artifact, "why")
    with (tmp_path / "rejected.jsonl").open("a") as file:
        file.write('{"reason": "cut o')
    metrics, begun, same = take_rejected(tmp_path)
    assert (metrics["kind"], metrics["points"], metrics["time_ms"]) == (
        "past",
        [[3, 30, {"loss": 1.0}]],
        30,
    )
    assert (begun["kind"], begun["params"], begun["tags"]) == ("past", {"x": "1"}, {"arm": "full"})
    assert begun["status"] is None, "a run that has ended is not opened again"
    assert same == artifact
    assert take_rejected(tmp_path) == []


def test_a_database_that_is_deleted_meanwhile_is_noticed(
    spool: Path, stand_in: type[StandIn], tmp_path_factory: pytest.TempPathFactory, caplog
) -> None:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    path.write_bytes(b"")
    writer = Writer(spool, Target(sqlite_uri(path), "e", "s", "id"), told("drain"), 60.0)
    writer.run()
    path.unlink()
    with pytest.raises(StopSending):
        writer.run()
    assert is_lost(spool)
    assert caplog.text.count("was deleted or replaced") == 1


class Coded(Exception):
    def __init__(self, error_code: str) -> None:
        self.error_code = error_code


@pytest.mark.parametrize(
    ("error", "hopeless"),
    [
        (ConnectionRefusedError("x"), False),
        (TimeoutError("x"), False),
        (RuntimeError("x"), False),
        (json.JSONDecodeError("x", "<html>", 0), False),
        (Coded("INTERNAL_ERROR"), False),
        (Coded("TEMPORARILY_UNAVAILABLE"), False),
        (Coded("PERMISSION_DENIED"), False),
        (Coded("INVALID_PARAMETER_VALUE"), True),
        (Coded("RESOURCE_DOES_NOT_EXIST"), True),
        (FileNotFoundError("x"), True),
        (ValueError("x"), True),
    ],
)
def test_which_errors_are_worth_repeating(error: Exception, hopeless: bool) -> None:
    assert is_hopeless(error) is hopeless


def test_timeouts_count_as_connectivity_however_wrapped() -> None:
    def wrapped() -> None:
        try:
            raise TimeoutError("read timed out")
        except TimeoutError as error:
            raise Coded(f"API request failed with exception {error}")  # noqa: B904  # as MLflow does

    with pytest.raises(Coded) as caught:
        wrapped()
    assert is_connectivity(caught.value)
    assert not is_connectivity(Coded("INTERNAL_ERROR"))


def test_a_full_disk_of_the_journal_is_sat_out(
    spool: Path, stand_in: type[StandIn], monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    refusals = [OSError(errno.ENOSPC, "No space left on device") for _ in range(3)]

    def full(*event: Any) -> None:
        if refusals:
            with (spool / "rejected.jsonl").open("a") as half:
                half.write('{"reason": "cut o')
            raise refusals.pop()
        put_aside(*event)

    stand_in.poison = "b"
    monkeypatch.setattr(module, "put_aside", full)
    Writer(spool, TARGET, told("drain"), 60.0).run()
    assert stand_in.sent[-1] == "c", "what follows is sent once there is room"
    assert "takes no files" in caplog.text
    assert count_unsent(spool) == 0
    (event,) = take_rejected(spool)  # not lost behind the halves that the full disk left
    assert event["trial"] == "b"


def test_a_database_speaks_for_itself_through_what_is_wrapped_around_it() -> None:
    def wrapped() -> None:
        try:
            raise StatementError("hint\n[SQL: ...]", sqlite3.OperationalError("disk is full"))
        except StatementError as error:
            raise Coded("(raised as a result of Query-invoked autoflush)") from error

    with pytest.raises(Coded) as caught:
        wrapped()
    assert describe(caught.value) == "disk is full"


def test_errors_are_described_in_one_line() -> None:
    nested = ConnectionError("Max retries (Caused by NewConnection('refused'))")
    assert describe(nested) == "NewConnection('refused'"
    assert describe(ValueError("first\nsecond")) == "ValueError: first"
