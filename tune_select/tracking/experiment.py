"""The MLflow experiment of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .target import Target

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # else the page opens for chat models
    "mlflow.note.content": (
        "Each run is a sweep; unfold it (+) for its trials. The tag `arm` tells what a trial "
        "trained on: group by it to compare replay (`cached`) with its baselines. Steps are epochs."
    ),
}


class ExperimentDeletedError(ConnectionError):
    """Somebody has deleted the experiment, and has to bring it back: waiting does not help."""


class ExperimentLostError(ConnectionError):
    """The experiment is gone with everything in it; another one can be made in its place."""


def find_experiment(client: MlflowClient, target: Target) -> str:
    """The id of a target's experiment, which is made where there is none.

    Raises:
        ExperimentDeletedError: It is deleted.
    """
    from mlflow.exceptions import MlflowException

    name = target.experiment
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, _artifact_location(target), tags=_TAGS))
        except MlflowException:
            # Another sweep may have made it in between; if not, this was the real reason.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    refuse_deleted(found)
    return str(found.experiment_id)


def refuse_deleted(found: Experiment) -> None:
    """Raise for an experiment to which nothing can be logged.

    Raises:
        ExperimentDeletedError: It is deleted.
    """
    if found.lifecycle_stage != "active":
        raise ExperimentDeletedError(
            f"the MLflow experiment {found.name!r} is deleted: restore it "
            f"(mlflow experiments restore -x {found.experiment_id}) or name another one"
        )


def _artifact_location(target: Target) -> str | None:
    """Where its artifacts go; ``None`` where a server decides that."""
    if target.tracking_uri.startswith(("http:", "https:", "databricks")):
        return None
    if target.artifact_root is None:
        return None
    root = target.artifact_root
    return root if "://" in root else Path(root).absolute().as_uri()
