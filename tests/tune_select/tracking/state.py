"""What an MLflow store holds of a sweep, in a form that can be compared."""

from __future__ import annotations

from typing import Any

import pytest

# MLflow's own use of SQLAlchemy, whatever version of it is installed.
mlflow_warnings = pytest.mark.filterwarnings("ignore:.*:sqlalchemy.exc.SADeprecationWarning")

_OF_MLFLOW = {"mlflow.user", "mlflow.source.name", "mlflow.runName", "mlflow.parentRunId"}


def read_store(uri: str, experiment: str) -> dict[str, dict[str, Any]]:
    """Returns by trial id (``parent`` for the parent run): status, params, tags, points.

    Fails when two runs stand for the same trial, or a nested run has another parent.
    """
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None, f"no experiment {experiment!r}"
    runs: dict[str, dict[str, Any]] = {}
    parents, named = set(), set()
    for run in client.search_runs([found.experiment_id], max_results=5000):
        tags = run.data.tags
        name = tags.get("trial_id", "parent")
        assert name not in runs, f"two runs for {name}"
        if name == "parent":
            parents.add(run.info.run_id)
        else:
            named.add(tags["mlflow.parentRunId"])
        points = {
            key: sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics
        }
        runs[name] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "params": dict(run.data.params),
            "tags": {key: value for key, value in tags.items() if key not in _OF_MLFLOW},
            "points": points,
            "artifacts": sorted(a.path for a in client.list_artifacts(run.info.run_id)),
        }
    assert named <= parents, "a nested run of another parent"
    return runs
