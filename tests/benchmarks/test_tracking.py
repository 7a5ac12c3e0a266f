"""Benchmark 5: tracking adds at most 5 ms to a trial's report.

In one run and one Ray: two trials report as fast as they can without a callback, with Ray's own
MLflow callback, and with ours, against sqlite and against a live server; the round is repeated, and
the medians of the milliseconds per report are compared.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS
from tests.tune_select.tracking.state import mlflow_warnings
from tune_select.tracking import MLflowCallback, sqlite_uri
from tune_select.tracking.link import spool_of
from tune_select.tracking.server import running_server
from tune_select.tracking.spool import count_unsent

pytestmark = [
    mlflow_warnings,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    *RAY_WARNINGS,
]
REPORTS = 150
ROUNDS = 3
METRICS = ("train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "learning_rate",
           "subset_size", "examples_seen", "train_s", "select_s", "eval_s", "wait_s")  # fmt: skip


def milliseconds_per_report(results: str, name: str, callbacks: list[Any]) -> float:
    """Median over two trials of the time that one report takes, start-up left out."""
    reports = 40 if "ray" in name else REPORTS  # at half a second each

    def train(config: dict[str, Any]) -> None:
        seconds = []
        for epoch in range(1, reports + 1):
            began = time.perf_counter()
            tune.report({"epoch": epoch, "ms": 1e3 * statistics.median(seconds[-100:] or [0.0]),
                         **dict.fromkeys(METRICS, epoch / 3)})  # fmt: skip
            seconds.append(time.perf_counter() - began)

    run = tune.RunConfig(storage_path=results, name=name, callbacks=callbacks, verbose=0)
    grid = tune.Tuner(
        train, param_space={"arm": tune.grid_search(["cached", "full"])}, run_config=run
    ).fit()
    assert not grid.errors
    return statistics.mean(result.metrics["ms"] for result in grid if result.metrics)


def test_tracking_adds_at_most_5_ms_to_a_report(tmp_path: Path) -> None:
    measured: dict[str, list[float]] = {}
    with (
        running_server(sqlite_uri(tmp_path / "server.db"), artifacts=tmp_path / "a") as (url, _),
        ray_session() as results,
    ):
        stores = {"sqlite": sqlite_uri(tmp_path / "mlflow.db"), "server": url}
        for round_ in range(ROUNDS):
            callbacks: dict[str, list[Any]] = {"none": []}
            for store, uri in stores.items():
                folder = Path(results) / f"ours-{store}-{round_}"
                callbacks[f"ours, {store}"] = [
                    MLflowCallback(uri, "ours", "sweep", f"id-{round_}", folder=folder)
                ]
                if round_ == 0:
                    callbacks[f"ray's, {store}"] = [
                        MLflowLoggerCallback(tracking_uri=uri, experiment_name="ray")
                    ]
            for kind, given in callbacks.items():
                name = f"{kind.replace(', ', '-').replace(chr(39), '')}-{round_}"
                measured.setdefault(kind, []).append(milliseconds_per_report(results, name, given))
                if kind.startswith("ours"):
                    assert count_unsent(spool_of(Path(results) / name)) == 0, "nothing is lost"
        for uri in stores.values():
            assert logged_points(uri) == [REPORTS] * 2 * ROUNDS
    for kind, values in measured.items():
        print(f"{kind:16s} ms per report: {', '.join(f'{v:.1f}' for v in values)}")
    plain = statistics.median(measured["none"])
    for store in stores:
        ours = statistics.median(measured[f"ours, {store}"])
        assert ours - plain <= 5.0, measured
        assert ours < measured[f"ray's, {store}"][0], measured


def logged_points(uri: str) -> list[int]:
    """How many epochs each nested run of ours has."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("ours")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.arm != ''")
    return [len(client.get_metric_history(run.info.run_id, "epoch")) for run in runs]
