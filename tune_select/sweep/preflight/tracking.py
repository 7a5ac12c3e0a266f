"""Whether MLflow would take the sweep's runs, before anything trains for them."""

from __future__ import annotations

import subprocess
import sys

from tune_select.secrets import expand_uri, mask_uri
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.tracking.target import sqlite_path

TIMEOUT_S = 30.0

_LOOK = """
import sys
from mlflow import MlflowClient
uri, name = sys.stdin.read().split("\\0")
found = MlflowClient(uri).get_experiment_by_name(name)
print(found.lifecycle_stage, found.experiment_id) if found else None
"""


def check_tracking(config: SweepConfig) -> None:
    """Refuse an MLflow experiment that was deleted.

    MLflow is asked in a process of its own: importing it takes seconds and many megabytes, and a
    server that is away may be waited for. A server that is away is no reason not to train: what it
    misses is kept and sent later.

    Args:
        config: As written.

    Raises:
        SweepError: The experiment is deleted; names it and the remedy, or the address refers to an
            environment variable that is not set.
    """
    if config.tracking is False or config.tracking.uri is None:
        return  # a store of the sweep's own, which is made with it
    name = config.tracking.experiment or config.name
    try:
        uri = expand_uri(config.tracking.uri)
    except ValueError as error:
        raise SweepError(f"tracking.uri: {error}") from None
    local = sqlite_path(uri)
    if local is not None and not local.exists():
        return
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOOK],
            input=f"{uri}\0{name}",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return
    stage, _, number = done.stdout.strip().partition(" ")
    if stage == "deleted":
        place = mask_uri(config.tracking.uri)
        raise SweepError(
            f"tracking.experiment: the MLflow experiment {name!r} at {place} is deleted: restore "
            f"it (mlflow experiments restore -x {number}) or name another one"
        )
