"""Asks MLflow whether it would take a sweep's runs, in a process of its own and in bounded time.

Importing mlflow takes seconds and many megabytes, and its client waits minutes for a server that is
away: neither is for the process that trains. Run as ``python -m tune_select.tracking.probe``, with
the question as JSON on its standard input and the answer as JSON on its standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tune_select.secrets import mask_uri

from .faults import describe

TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 8


@dataclass(frozen=True)
class Answer:
    """What MLflow said.

    Attributes:
        problem: Why it would not take runs, and what to do; empty where it would.
        experiment_id: The id of the experiment, if there is one.
        deleted: Whether the experiment was deleted.
        artifact_location: Where the experiment's artifacts go, if there is one.
        knows_sweep: Whether the experiment has a run of the sweep; ``None`` when it cannot be told.
    """

    problem: str = ""
    experiment_id: str | None = None
    deleted: bool = False
    artifact_location: str | None = None
    knows_sweep: bool | None = None


def ask(uri: str, experiment: str, sweep_id: str = "", timeout_s: float = TIMEOUT_S) -> Answer:
    """What MLflow says of an experiment; never raises for what a server may do.

    Args:
        uri: The full tracking URI, its ``${NAME}`` filled in.
        experiment: Name of the experiment.
        sweep_id: Whose runs are looked for; none by default.
        timeout_s: Longest wait, the import of mlflow (seconds) included.
    """
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tune_select.tracking.probe"],
            input=json.dumps({"uri": uri, "experiment": experiment, "sweep_id": sweep_id}),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "PYTHONPATH": path},
        )
        return Answer(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Answer(f"where nobody has answered within {timeout_s:.0f} s")
    except (ValueError, IndexError):  # the process died before it could say anything
        said = mask_uri(done.stderr.strip()).splitlines() or [f"exit status {done.returncode}"]
        return Answer(f"which MLflow could not be asked about ({said[-1][:300]})")


def _look(uri: str, experiment: str, sweep_id: str) -> Answer:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return Answer(knows_sweep=False)
    if found.name != experiment:  # any JSON is an experiment to MLflow's client, an empty one too
        return Answer("where something else answers than an MLflow server")
    number, deleted = str(found.experiment_id), found.lifecycle_stage != "active"
    knows = None
    if sweep_id and not deleted:
        mine = f"tags.sweep_id = '{sweep_id}'"
        knows = bool(client.search_runs([number], mine, max_results=1))
    return Answer("", number, deleted, found.artifact_location, knows)


def _problem(error: Exception) -> str:
    """An error of MLflow's client as the end of a sentence that begins with the address."""
    said, code = describe(error), getattr(error, "error_code", None)
    text = str(error)
    if code == "UNAUTHENTICATED":
        return (
            "where the server asks who you are (HTTP 401): export MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if code == "PERMISSION_DENIED":
        return f"where the server refuses this user (HTTP 403): ask for access to it ({said})"
    if code == "ENDPOINT_NOT_FOUND" or "not in a valid JSON format" in text or "!= 200" in text:
        return f"where something else answers than an MLflow server ({said})"
    if "database schema" in text:
        return (
            "a database that another version of MLflow has made: install that version, or save a "
            f"copy and run mlflow db upgrade on it ({said})"
        )
    return f"which cannot be used ({said})"


def main() -> int:
    """Answer one question."""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(REQUEST_TIMEOUT_S)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    question: dict[str, Any] = json.load(sys.stdin)
    try:
        answer = _look(**question)
    except Exception as error:  # whatever a client, a driver or a proxy raises
        answer = Answer(_problem(error))
    print(json.dumps(asdict(answer)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
