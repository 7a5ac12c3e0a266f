"""Start ``mlflow server`` on a sweep's store, for looking at it in a browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tune_select.secrets import expand_uri, mask_uri

from .link import read_target, spool_of
from .process import print_progress
from .target import check_uri, sqlite_path, sqlite_uri

_START_S = 120.0


def store_of(folder: str | os.PathLike[str]) -> str:
    """The tracking URI of a results folder.

    Raises:
        FileNotFoundError: The folder has no MLflow store.
    """
    base = Path(folder).absolute()
    beside = base / "mlflow.db"
    if beside.is_file():  # also when the folder has moved since
        return sqlite_uri(beside)
    target = read_target(spool_of(base))
    if target is None:
        raise FileNotFoundError(
            f"{base} has no MLflow store (neither mlflow.db nor tracking/target.json): it is not "
            "the results folder of a tracked sweep"
        )
    return target.tracking_uri


def free_port(host: str = "127.0.0.1") -> int:
    """A port of ``host`` that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(
    store_uri: str,
    port: int | None = None,
    host: str = "127.0.0.1",
    artifacts: Path | None = None,
    log: Path | None = None,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run an ``mlflow server`` of its own on a store, and end it on leaving.

    Args:
        store_uri: sqlite or another database; may refer to environment variables as ``${NAME}``.
        port: The port, by default a free one.
        host: Address to listen on; anything but 127.0.0.1 opens the store to the network.
        artifacts: Folder that the server keeps new experiments' artifacts in.
        log: File for its output; by default none is kept.

    Yields:
        The server's address, once it answers, and its process.

    Raises:
        RuntimeError: It does not come up; with the last lines of its output if there is a ``log``.
    """
    port = port or free_port(host)
    url = f"http://{host}:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    if artifacts is not None:
        command += ["--artifacts-destination", str(artifacts)]
    # In the environment, not on the command line: it may hold a password.
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": expand_uri(store_uri),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes that no sweep needs
    }
    sink = log.open("ab") if log is not None else subprocess.DEVNULL
    process = subprocess.Popen(
        command, env=environment, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        _await_health(url, process, log)
        yield url, process
    finally:
        stop_server(process)
        if not isinstance(sink, int):
            sink.close()


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path | None) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    said = "" if log is None else ": " + " | ".join(log.read_text().splitlines()[-5:])
    raise RuntimeError(f"mlflow server did not come up at {url}{mask_uri(said)}")


def stop_server(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """End a server started by ``running_server``, its worker processes included."""
    group = process.pid  # it leads its own session
    for signal_number in (15, 9):
        try:
            os.killpg(group, signal_number)
        except ProcessLookupError:
            break
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue


def page_url(url: str, experiment_id: str) -> str:
    """The address of an experiment's table of runs on a server's page."""
    return f"{url}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def _page_of(folder: Path, url: str) -> str:
    """The page of a folder's experiment, or of the server when it cannot be told."""
    target = read_target(spool_of(folder))
    if target is None:
        return url
    query = urllib.parse.urlencode({"experiment_name": target.experiment})
    ask = f"{url}/api/2.0/mlflow/experiments/get-by-name?{query}"
    try:
        with urllib.request.urlopen(ask, timeout=10) as answer:
            return page_url(url, json.load(answer)["experiment"]["experiment_id"])
    except (OSError, ValueError, KeyError):
        return url


def serve(folder: str | os.PathLike[str], port: int | None = None, host: str = "127.0.0.1") -> None:
    """Show a sweep's MLflow page until interrupted; behind ``tune-select ui FOLDER``.

    A sweep that was logged to a server needs none of its own: its address is printed.

    Args:
        folder: Results folder of a sweep.
        port: The port, by default a free one.
        host: Address to listen on.

    Raises:
        FileNotFoundError: The folder has no store.
        RuntimeError: The server does not come up.
    """
    uri = check_uri(store_of(folder))
    if uri.startswith(("http:", "https:")):
        print_progress(f"The sweep was logged to the MLflow server at {mask_uri(uri)}")
        return
    path = sqlite_path(uri)
    artifacts = (path.parent if path else Path(folder).absolute()) / "mlartifacts"
    log = Path(folder).absolute() / "mlflow-server.log"
    with running_server(uri, port, host, artifacts, log) as (url, process):
        page = _page_of(Path(folder), url)
        print_progress(f"MLflow page of {folder}: {page}  (Ctrl-C ends it)")
        try:
            process.wait()
        except KeyboardInterrupt:
            print_progress("MLflow server ended")
