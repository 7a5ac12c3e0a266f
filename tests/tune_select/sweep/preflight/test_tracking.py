"""A tracker that could not take a sweep's runs is found before anything trains."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.sweep.preflight.test_preflight import sweep
from tests.tune_select.tracking.state import mlflow_warnings
from tests.tune_select.tracking.strangers import web_server
from tune_select.sweep.config import SweepError
from tune_select.sweep.preflight import check_tracking
from tune_select.tracking.probe import Answer
from tune_select.tracking.sqlite_file import LOCK_TIMEOUT_S, sqlite_problem

pytestmark = mlflow_warnings


def check(uri: str, **keys: Any) -> None:
    check_tracking(sweep(tracking={"uri": uri, "experiment": "mine"}, **keys))


def test_a_database_that_is_to_be_made_is_fine_and_nothing_is_left(tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path}/new/mlflow.db")
    check_tracking(sweep())
    check_tracking(sweep(tracking=False))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_bytes(b"hello" * 1000)
    (tmp_path / "folder.db").mkdir()
    for name, said in {
        "garbage.db": "no sound sqlite database",
        "folder.db": "is not a file",
        "garbage.db/under.db": "is not a folder",
    }.items():
        with pytest.raises(SweepError, match=rf"tracking\.uri is sqlite:///.*{said}.*tracking: f"):
            check(f"sqlite:///{tmp_path}/{name}")
    with pytest.raises(SweepError, match="whose folder cannot be written"):
        check("sqlite:////proc/mlflow.db")


def test_a_locked_database_is_refused_and_a_free_one_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LOCK_TIMEOUT_S >= 1
    monkeypatch.setattr("tune_select.tracking.sqlite_file.LOCK_TIMEOUT_S", 0.05)
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table t (a)")
        other.commit()
        before = path.read_bytes()
        assert sqlite_problem(path) == ""
        assert path.read_bytes() == before
        other.execute("begin exclusive")
        assert "another process has locked" in sqlite_problem(path)
        other.execute("rollback")
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("create table studies (study_id integer)")
        database.commit()
    before = path.read_bytes()
    with pytest.raises(SweepError, match=r"something else than MLflow \(alembic_version, studies"):
        check(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_what_mlflow_says_of_the_experiment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        r"tracking\.uri is http://me:\*\*\*@host, which sulks: correct": Answer("which sulks"),
        r"tracking\.experiment: .* restore -x 7\) or name another one": Answer(
            "", "7", deleted=True
        ),
        r"artifacts .* go to file:///proc/a%20b/7, which cannot be written": Answer(
            "", "7", artifact_location="file:///proc/a%20b/7"
        ),
    }
    for said, answer in answers.items():
        monkeypatch.setattr("tune_select.sweep.preflight.tracking.ask", lambda *_, a=answer: a)
        with pytest.raises(SweepError, match=said):
            check("http://me:hunter2@host")
    for place in (None, "mlflow-artifacts:/7", "s3://bucket/7", "/tmp/artifacts/7"):
        answer = Answer("", "7", artifact_location=place)
        monkeypatch.setattr("tune_select.sweep.preflight.tracking.ask", lambda *_, a=answer: a)
        check("http://me:hunter2@host")


@pytest.mark.slow
def test_the_question_is_asked_in_a_process_of_its_own() -> None:
    with web_server(401, b"who?") as address, pytest.raises(SweepError, match=r"HTTP 401"):
        check(address)


def test_a_journal_that_could_not_be_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/state")
    with pytest.raises(SweepError, match="export XDG_STATE_HOME"):
        check("http://127.0.0.1:1", storage_path="s3://bucket/results")


def test_what_cannot_be_named_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SweepError, match=r"tracking\.uri: .*NO_SUCH_VARIABLE"):
        check("http://me:${NO_SUCH_VARIABLE}@host")
    with pytest.raises(SweepError, match=r"tracking\.uri: .*driver"):
        check("postgresql+no_such_driver://host/db")
    with pytest.raises(SweepError, match=r"tracking\.uri: .*as SQLAlchemy has it"):
        check("postgresql://me:hunter2@host:port/db")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SweepError, match="pip install mlflow"):
        check_tracking(sweep())
