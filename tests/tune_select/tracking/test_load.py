"""One callback for a sweep of a thousand trials, whose server is killed and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from tests.benchmarks.contenders import MemoryProbe
from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS
from tests.tune_select.toy import Toy
from tests.tune_select.tracking.state import mlflow_warnings
from tune_select.tracking import MLflowCallback, sqlite_uri
from tune_select.tracking.link import spool_of
from tune_select.tracking.server import free_port, running_server
from tune_select.tracking.spool import count_unsent

pytestmark = [mlflow_warnings, *RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(1200)]

TRIALS = int(os.environ.get("TUNE_SELECT_BENCHMARK_TRIALS", "1000"))
EPOCHS = 3


class Outage(tune.Callback):
    """Kills the server after a quarter of the trials; starts it again after the half."""

    def __init__(self, database: str, artifacts: Path, port: int) -> None:
        self._server = {"port": port, "artifacts": artifacts}
        self._database, self._ended = database, 0
        self._servers = ExitStack()
        self._process: Any = None
        self._starter: threading.Thread | None = None
        self.start()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks, for a resume that this test does not make

    def start(self) -> None:
        running = running_server(self._database, **self._server)
        self.url, self._process = self._servers.enter_context(running)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._ended += 1
        if self._ended == TRIALS // 4:
            os.killpg(self._process.pid, signal.SIGKILL)
            self.killed_s = time.monotonic()
        if self._ended == TRIALS // 2:
            self._starter = threading.Thread(target=self.start)
            self._starter.start()
            self.away_s = time.monotonic() - self.killed_s

    def close(self) -> None:
        if self._starter is not None:
            self._starter.join()
        self._servers.close()


def test_a_thousand_trials_and_a_server_that_is_away_for_a_quarter_of_them(tmp_path: Path) -> None:
    database = tmp_path / "server.db"
    outage = Outage(sqlite_uri(database), tmp_path / "artifacts", free_port())
    with ray_session(2) as results:
        folder = Path(results) / "load"
        callback = MLflowCallback(
            outage.url, "load", "load", "load", folder=folder, drain_timeout_s=120.0
        )
        probe = MemoryProbe()
        started = time.monotonic()
        grid = tune.Tuner(
            tune.with_resources(Toy, {"cpu": 1}),
            param_space={
                "arm": "full",
                "learning_rate": tune.grid_search([0.001 * i for i in range(TRIALS)]),
                "max_epochs": EPOCHS,
            },
            tune_config=tune.TuneConfig(metric="score", mode="max", reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=results, name="load", verbose=0, callbacks=[outage, callback, probe]
            ),
        ).fit()
        taken_s = time.monotonic() - started
        assert grid.num_errors == 0
        assert count_unsent(spool_of(folder)) == 0
        assert not (spool_of(folder) / "rejected.jsonl").exists()
    outage.close()
    print(
        f"\n{TRIALS} trials of {EPOCHS} epochs in {taken_s:.0f} s, the server away for "
        f"{outage.away_s:.0f} s of them; memory {probe.slope() / 1e3:.0f} kB per trial"
    )
    check(database, {result.metrics["trial_id"] for result in grid if result.metrics})


def check(database: Path, trials: set[str]) -> None:
    """Every trial has one run, finished, with each epoch once."""
    with closing(sqlite3.connect(database)) as connection:
        query = "select r.run_uuid, r.status, t.value from runs r left join tags t "
        query += "on t.run_uuid = r.run_uuid and t.key = 'trial_id'"
        runs = connection.execute(query).fetchall()
        points = connection.execute("select run_uuid, step from metrics where key = 'epoch'")
        steps = Counter(points.fetchall())
    assert len(runs) == TRIALS + 1
    assert {trial for _, _, trial in runs if trial} == trials
    assert {status for _, status, _ in runs} == {"FINISHED"}
    wanted = {(run, step) for run, _, trial in runs if trial for step in range(1, EPOCHS + 1)}
    assert set(steps) == wanted
    assert set(steps.values()) == {1}
