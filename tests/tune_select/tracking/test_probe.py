"""What is asked of MLflow before a sweep begins: every answer but its own is a sentence."""

from __future__ import annotations

import pytest

from tests.tune_select.tracking.state import mlflow_warnings
from tests.tune_select.tracking.strangers import silent_server, web_server
from tune_select.tracking import probe
from tune_select.tracking.probe import ask
from tune_select.tracking.server import free_port
from tune_select.tracking.target import check_uri

pytestmark = mlflow_warnings


@pytest.fixture(autouse=True)
def promptly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


def problem(uri: str) -> str:
    """In this process, which has imported mlflow already."""
    try:
        return probe._look(uri, "mine", "id").problem
    except Exception as error:
        return probe._problem(error)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>hello</html>", "something else answers than an MLflow server"),
        (200, b"{}", "something else answers than an MLflow server"),
        (200, b"[1]", "something else answers than an MLflow server"),
        (302, b"", "something else answers than an MLflow server"),
        (404, b"<html>no</html>", "something else answers than an MLflow server"),
        (500, b"<html>oh</html>", "too many 500 error responses"),
        (503, b"busy", "too many 503 error responses"),
        (401, b"who?", "MLFLOW_TRACKING_USERNAME"),
        (403, b"no", "refuses this user"),
    ],
)
def test_a_server_that_takes_no_runs_is_named(status: int, body: bytes, said: str) -> None:
    with web_server(status, body) as address:
        assert said in problem(address)


def test_a_server_that_has_no_such_experiment_is_fine() -> None:
    missing = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}'
    with web_server(404, missing, "application/json") as address:
        assert problem(address) == ""


def test_nobody_and_silence_are_told_apart() -> None:
    assert "Connection refused" in problem(f"http://127.0.0.1:{free_port()}")
    with silent_server() as address:
        assert "timed out" in problem(address).lower()


def test_the_probe_s_own_process_is_bounded() -> None:
    with silent_server() as address:
        answer = ask(address, "mine", timeout_s=0.3)
    assert answer.problem == "where nobody has answered within 0 s"
    assert answer.knows_sweep is None


@pytest.mark.parametrize(
    "uri",
    [
        "http://", "https:///path", "http://host:port", "http://host:99999", "http://host:0",
        "http://:5000", "http://ho st", "sqlite://", "sqlite:///", "sqlite:///:memory:",
        "sqlite:relative.db", "sqlite://host/x.db", "ftp://host/x", "mlruns", "file:///mlruns", "",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anybody_is_asked(uri: str) -> None:
    with pytest.raises(ValueError, match="tracking uri must"):
        check_uri(uri)


def test_addresses_stay_as_they_are_and_files_are_made_absolute() -> None:
    for uri in ("http://host", "https://u:p@host:1/prefix", "http://[::1]:5000", "databricks:"):
        assert check_uri(uri) == uri
    assert check_uri("sqlite:////a/b.db?timeout=9") == "sqlite:////a/b.db?timeout=9"
    assert check_uri("sqlite:///b.db").startswith("sqlite:////")
    assert check_uri("sqlite:///${HOME}/b.db") == "sqlite:///${HOME}/b.db"
    assert check_uri("http://${HOST}:${PORT}") == "http://${HOST}:${PORT}"
