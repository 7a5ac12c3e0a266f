"""Sweeps logged to PostgreSQL, through a server and directly."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tune_select.tracking.postgres import PASSWORD, postgres_folder, running_postgres
from tests.tune_select.tracking.state import mlflow_warnings, read_store
from tests.tune_select.tracking.test_link import SWEEP, points, target_of, trial_events
from tests.tune_select.tracking.test_server import outage
from tune_select.tracking.link import link_to, release, spool_of

pytestmark = [
    mlflow_warnings,
    pytest.mark.slow,
    pytest.mark.skipif(postgres_folder() is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("psycopg2") is None, reason="psycopg2 is not installed"
    ),
]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running_postgres() as port:
        yield port


def test_a_server_with_postgresql_that_is_killed_and_comes_back(port: int, tmp_path: Path) -> None:
    outage(tmp_path, 100, 12, f"postgresql+psycopg2://mlflow:{PASSWORD}@127.0.0.1:{port}/mlflow")


def test_logging_to_postgresql_directly(port: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_DB_PASSWORD", PASSWORD)
    uri = f"postgresql+psycopg2://mlflow:${{MLFLOW_DB_PASSWORD}}@127.0.0.1:{port}/mlflow"
    link = link_to(spool_of(tmp_path), target_of(uri, tmp_path))
    for event in [SWEEP, *trial_events("a", 30)]:
        link.append(event)
    assert link.drain(120, print)
    release(spool_of(tmp_path))
    runs = read_store(uri.replace("${MLFLOW_DB_PASSWORD}", PASSWORD), tmp_path.name)
    assert points(runs["a"]) == list(range(1, 31))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
