"""`MLflowCallback` in real sweeps."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import tune

from tests.tune_select.tracking.state import mlflow_warnings, read_store
from tune_select.reporting import packed
from tune_select.tracking import MLflowCallback, sqlite_uri
from tune_select.tracking.link import spool_of
from tune_select.tracking.spool import count_unsent

pytestmark = [mlflow_warnings, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True, scope="module")
def files_of_ray() -> Iterator[None]:
    """Ray's own loggers leave files of failed and perturbed trials open for the collector."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def fit(
    trainable: Any, folder: Path, space: dict[str, Any], callbacks: list[Any], **tune_config: Any
) -> Any:
    run = tune.RunConfig(
        storage_path=str(folder.parent), name=folder.name, callbacks=callbacks, verbose=0,
        failure_config=tune.FailureConfig(max_failures=1),
    )  # fmt: skip
    config = tune.TuneConfig(**tune_config)
    return tune.Tuner(trainable, param_space=space, run_config=run, tune_config=config).fit()


@pytest.fixture(scope="module")
def runs(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """A sweep with a seed, a replay that waits, a trial that restarts and one that fails."""
    folder = tmp_path_factory.mktemp("results") / "sweep"
    crashed = tmp_path_factory.mktemp("scratch") / "crashed"

    def train(config: dict[str, Any]) -> None:
        if config["arm"] == "seed":  # what a trial leaves in its folder of the results
            own = folder / Path(tune.get_context().get_trial_dir()).name
            own.mkdir(exist_ok=True)
            (own / "own.txt").write_text("kept")
        for epoch in range(1, 7):
            if config["arm"] == "broken":
                raise RuntimeError("cannot log in to http://me:hunter2@host")
            if config["arm"] == "full" and epoch == 5 and not crashed.exists():
                crashed.touch()
                raise RuntimeError("once")
            if config["arm"] == "cached" and epoch == 4:
                tune.report({"epoch": 3, "loss": 99.0, "waiting_for_interval": 1})
            loss = math.nan if epoch == 6 else 1 / epoch
            tune.report({"epoch": epoch, "loss": loss, "waiting_for_interval": -1})

    callback = MLflowCallback(
        sqlite_uri(folder / "mlflow.db"), "exp", "sweep", "id", {"who": "me"},
        trial_tags={"phase": "search"},
        folder=folder, params={"tune": {"searcher": "grid"}}, artifacts=["params.json", "own.txt"],
    )  # fmt: skip
    space = {
        "arm": tune.grid_search(["seed", "cached", "full", "broken"]),
        "history": {"path": str(folder / "history" / "k1"), "store": None},
        "selection": {"algorithm": "gradmatch", "fraction": 0.1},
        "learning_rate": 0.1,
        "seed": 7,
    }
    fit(train, folder, space, [callback], max_concurrent_trials=1, reuse_actors=True)
    assert count_unsent(spool_of(folder)) == 0
    assert not (spool_of(folder) / "rejected.jsonl").exists()
    found = read_store(sqlite_uri(folder / "mlflow.db"), "exp")
    return {run["tags"].get("arm", "parent"): run for run in found.values()}


def test_one_run_per_sweep_and_a_nested_one_per_trial(runs: dict[str, Any]) -> None:
    assert set(runs) == {"parent", "seed", "cached", "full", "broken"}
    assert {arm: run["status"] for arm, run in runs.items()} == {
        "parent": "FAILED", "seed": "FINISHED", "cached": "FINISHED", "full": "FINISHED",
        "broken": "FAILED",
    }  # fmt: skip
    assert runs["parent"]["params"] == {"tune/searcher": "grid"}


def test_epochs_are_the_steps(runs: dict[str, Any]) -> None:
    losses = runs["seed"]["points"]["loss"]
    assert losses[:5] == [(epoch, 1 / epoch) for epoch in range(1, 6)]
    assert losses[5][0] == 6
    assert math.isnan(losses[5][1])
    assert runs["seed"]["points"]["epoch"] == [(e, float(e)) for e in range(1, 7)]


def test_reports_that_a_replay_waits_are_left_out(runs: dict[str, Any]) -> None:
    assert [step for step, _ in runs["cached"]["points"]["loss"]] == [1, 2, 3, 4, 5, 6]
    assert 99.0 not in [value for _, value in runs["cached"]["points"]["loss"]]


def test_a_restarted_trial_logs_each_epoch_once(runs: dict[str, Any]) -> None:
    assert [step for step, _ in runs["full"]["points"]["loss"]] == [1, 2, 3, 4, 5, 6]
    assert runs["full"]["tags"]["restarts"] == "1"
    assert runs["full"]["tags"]["repeated_epochs"] == "1-4"


def test_tags_and_parameters(runs: dict[str, Any]) -> None:
    tags = runs["cached"]["tags"]
    expected = {"selector": "cached", "history_key": "k1", "seed": "7", "who": "me"}
    assert tags["phase"] == "search"
    assert "phase" not in runs["parent"]["tags"]
    assert expected.items() <= tags.items()
    assert tags["seed_trial"] == runs["seed"]["tags"]["trial_id"]
    assert runs["seed"]["tags"]["selector"] == "gradmatch"
    assert runs["cached"]["params"]["selection/fraction"] == "0.1"
    assert runs["cached"]["name"] == "cached"


def test_artifacts_and_errors(runs: dict[str, Any]) -> None:
    assert runs["seed"]["artifacts"] == ["own.txt", "params.json"]
    assert runs["full"]["artifacts"] == ["params.json"]
    assert "error.txt" in runs["broken"]["artifacts"]
    assert "http://me:***@host" in runs["broken"]["tags"]["error"]


def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **options: Any) -> list[dict[str, Any]]:
    """What the writer is told of a trial's start and of a report of two epochs."""
    callback = MLflowCallback(f"sqlite:///{tmp_path}/m.db", "e", "s", "id", **options)
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(callback, "_link", lambda: SimpleNamespace(append=events.append))
    config = {"arm": "full", "learning_rate": 0.1, "data": {"name": "digits"}}
    trial: Any = SimpleNamespace(
        config=config, trial_id="t", num_failures=0, evaluated_params={"learning_rate": 0.1}
    )
    callback.on_trial_start(1, [], trial)
    callback.on_trial_result(1, [], trial, packed([{"epoch": 1}, {"epoch": 2, "val_loss": 0.5}]))
    return events


def test_what_all_trials_share_is_not_a_trials_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    everything, varying = (
        told(monkeypatch, tmp_path, constant=constant)[0]["params"]
        for constant in ((), {"data/name", "momentum"})
    )
    assert everything == {"arm": "full", "learning_rate": "0.1", "data/name": "digits"}
    assert varying == {"arm": "full", "learning_rate": "0.1"}


def test_each_epoch_of_a_report_is_a_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, *points = told(monkeypatch, tmp_path)
    assert [(point["step"], point["values"].get("val_loss")) for point in points] == [
        (1, None), (2, 0.5),
    ]  # fmt: skip


def test_without_mlflow_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install mlflow"):
        MLflowCallback("sqlite:////tmp/x.db", "e", "s", "id")


@pytest.mark.parametrize("uri", ["", "mlruns", "file:///tmp/mlruns", "ftp://host"])
def test_a_store_that_mlflow_cannot_log_to_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tracking uri must begin with one of .* sqlite:///"):
        MLflowCallback(uri, "e", "s", "id", folder=tmp_path)


def test_a_missing_database_driver_is_named(tmp_path: Path) -> None:
    uri = "mssql+pymssql://me:hunter2@host/db"  # a driver that nobody here has
    with pytest.raises(ImportError, match=r"me:\*\*\*@host/db needs the database driver pymssql"):
        MLflowCallback(uri, "e", "s", "id", folder=tmp_path)


def test_importing_the_package_imports_neither_mlflow_nor_ray() -> None:
    code = """
import sys
import tune_select.tracking, tune_select.tracking.writer, tune_select.tracking.sweep_run
from tune_select.tracking import flush_spool, serve
heavy = {"mlflow", "ray", "torch", "pandas"} & set(sys.modules)
assert not heavy, heavy
from tune_select.tracking import MLflowCallback
assert "mlflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_population_based_training_goes_on_in_the_same_runs(cluster: None, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"

    class Walk(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.epoch = 0

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.epoch = 0
            self.config = new_config
            return True

        def step(self) -> dict[str, Any]:
            self.epoch += 1
            time.sleep(0.05)
            return {"epoch": self.epoch, "score": self.config["rate"] * self.epoch}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            Path(checkpoint_dir, "epoch").write_text(str(self.epoch))

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            self.epoch = int(Path(checkpoint_dir, "epoch").read_text())

    scheduler = tune.schedulers.PopulationBasedTraining(
        time_attr="epoch", perturbation_interval=4, metric="score", mode="max",
        hyperparam_mutations={"rate": tune.uniform(0.1, 10)}, quantile_fraction=0.5, synch=True,
    )  # fmt: skip
    uri = sqlite_uri(folder / "mlflow.db")
    callback = MLflowCallback(uri, "pbt", "sweep", "id", folder=folder)
    run = tune.RunConfig(
        storage_path=str(folder.parent), name=folder.name, callbacks=[callback], verbose=0,
        stop={"epoch": 16},
    )  # fmt: skip
    space = {"rate": tune.grid_search([0.1, 5.0])}
    config = tune.TuneConfig(scheduler=scheduler, reuse_actors=True)
    grid = tune.Tuner(Walk, param_space=space, run_config=run, tune_config=config).fit()
    assert not grid.errors
    runs = read_store(uri, "pbt")
    assert len(runs) == 3
    trials = [run for name, run in runs.items() if name != "parent"]
    assert {run["status"] for run in trials} == {"FINISHED"}
    assert any("param/rate" in run["tags"] for run in trials), "somebody was perturbed"
    for run in trials:
        assert {step for step, _ in run["points"]["score"]} == set(range(1, 17))
    assert not (spool_of(folder) / "rejected.jsonl").exists()


SWEEP_SCRIPT = """
import sys, time, ray
from ray import tune
from tune_select.tracking import MLflowCallback

def train(config):
    for epoch in range(1, 31):
        time.sleep(0.2)
        tune.report({"epoch": epoch, "loss": config["k"] / epoch})

if __name__ == "__main__":
    mode, uri, storage = sys.argv[1:]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    if mode == "run":
        callback = MLflowCallback(uri, "exp", "sweep", "id", folder=storage + "/sweep")
        tuner = tune.Tuner(train, param_space={"k": tune.grid_search([1, 2, 3])},
            run_config=tune.RunConfig(storage_path=storage, name="sweep", callbacks=[callback]))
    else:
        tuner = tune.Tuner.restore(storage + "/sweep", trainable=train)
    tuner.fit()
    ray.shutdown()
"""


@pytest.mark.slow
def test_a_killed_and_resumed_sweep_shows_each_trial_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SWEEP_SCRIPT)
    uri = sqlite_uri(tmp_path / "mlflow.db")
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, str(script), "run", uri, str(tmp_path)]
    driver = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(points_of(uri)) < 15:
        time.sleep(1)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = points_of(uri)
    assert 15 <= len(before) < 90
    command[2] = "restore"
    subprocess.run(command, env=environment, check=True, timeout=200)
    runs = read_store(uri, "exp")
    assert len(runs) == 4
    for name, run in runs.items():
        assert run["status"] == "FINISHED", name
        if name != "parent":
            assert [step for step, _ in run["points"]["loss"]] == list(range(1, 31)), name
    assert runs["parent"]["tags"]["resumes"] == "1"
    after = points_of(uri)
    assert before.items() <= after.items()


def points_of(uri: str) -> dict[tuple[str, int], float]:
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.exists():
        return {}
    import sqlite3

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        try:
            rows = database.execute("select run_uuid, step, value from metrics where key = 'loss'")
            return {(run, step): value for run, step, value in rows}
        except sqlite3.OperationalError:  # not made yet, or busy
            return {}
