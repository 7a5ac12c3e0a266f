"""The sender against a real MLflow store in sqlite; faults are injected between it and MLflow."""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.tune_select.tracking.state import mlflow_warnings, read_store
from tune_select.tracking import probe
from tune_select.tracking.events import merge
from tune_select.tracking.experiment import ExperimentDeletedError, ExperimentLostError
from tune_select.tracking.sender import Sender
from tune_select.tracking.target import Target, sqlite_uri

pytestmark = mlflow_warnings


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sqlite_uri(tmp_path_factory.mktemp("store") / "mlflow.db")


def target_of(store: str, experiment: str) -> Target:
    root = str(Path(store.removeprefix("sqlite:///")).parent / "artifacts")
    return Target(
        store, experiment, "sweep", f"id-{experiment.replace(' ', '-')}", {"who": "me"}, root
    )


def start(trial: str, time_ms: int, **params: str) -> dict[str, Any]:
    tags = {"trial_id": trial, "arm": "cached"}
    name = f"run of {trial}"
    kind = {"kind": "start", "trial": trial, "name": name}
    return {**kind, "time_ms": time_ms, "params": params, "tags": tags}


def report(trial: str, step: int, time_ms: int, **values: float) -> dict[str, Any]:
    values = {"epoch": float(step), **values}
    return {
        "kind": "metrics", "trial": trial, "step": step, "time_ms": time_ms, "values": values
    }  # fmt: skip


SWEEP = {"kind": "sweep", "time_ms": 1, "params": {"fraction": "0.1"}, "tags": {}, "resumed": False}
FINISH = {"kind": "finish", "time_ms": 99, "status": "FINISHED", "metrics": {"regret": 0.5}}
END = {"kind": "end", "trial": "a", "time_ms": 50, "status": "FINISHED", "tags": {"note": "ok"}}
SCENARIO = [
    SWEEP,
    start("a", 2, lr="0.1"),
    report("a", 1, 3, loss=1.0),
    start("b", 4, lr="0.2"),
    report("b", 1, 5, loss=3.0),
    report("a", 2, 6, loss=0.5),
    report("a", 2, 7, loss=0.5),  # repeated after a restart
    report("b", 2, 8, loss=math.nan),
    start("b", 9, lr="0.3"),  # PBT gave it another rate, and set it back
    report("b", 1, 10, loss=9.0),
    END,
    {"kind": "artifact", "trial": None, "time_ms": 60, "path": "report.html", "artifact_path": ""},
    FINISH,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("folder")
    (made / "report.html").write_text("<p>report")
    return made


def send_all(sender: Sender, events: list[dict[str, Any]]) -> None:
    sender.connect()
    for event in merge(events):
        sender.send(event)


def test_a_sweep_is_one_run_with_nested_ones(store: str, folder: Path) -> None:
    send_all(Sender(target_of(store, "plain"), folder), SCENARIO)
    runs = read_store(store, "plain")
    assert set(runs) == {"parent", "a", "b"}
    parent, a, b = runs["parent"], runs["a"], runs["b"]
    assert (parent["name"], parent["status"]) == ("sweep", "FINISHED")
    assert parent["params"] == {"fraction": "0.1"}
    assert parent["points"] == {"regret": [(0, 0.5)]}
    assert parent["artifacts"] == ["report.html"]
    assert parent["tags"] == {"sweep_id": "id-plain", "who": "me"}
    assert (a["name"], a["status"], a["params"]) == ("run of a", "FINISHED", {"lr": "0.1"})
    assert a["points"] == {"epoch": [(1, 1.0), (2, 2.0)], "loss": [(1, 1.0), (2, 0.5)]}
    assert a["tags"]["repeated_epochs"] == "2"
    assert a["tags"]["note"] == "ok"
    assert a["tags"]["who"] == "me"
    assert b["status"] == "KILLED", "still open when the sweep was closed"
    assert (b["params"], b["tags"]["param/lr"]) == ({"lr": "0.2"}, "0.3")
    steps = [step for step, _ in b["points"]["loss"]]
    assert steps == [1, 1, 2], "a trial that goes on with other parameters is set back"
    assert math.isnan(dict(b["points"]["loss"])[2])


class FaultyClient:
    """Stands before a real client; the request with number `at` fails, before or after its effect.

    The latter is a server that dies after the commit, before its answer.
    """

    def __init__(self, client: Any, at: int, after: bool) -> None:
        self._client, self._at, self._after, self.requests = client, at, after, 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def request(*args: Any, **kwargs: Any) -> Any:
            self.requests += 1
            if self.requests == self._at and not self._after:
                raise ConnectionError("server is away")
            answer = getattr(self._client, name)(*args, **kwargs)
            if self.requests == self._at:
                raise ConnectionError("server went away before it answered")
            return answer

        return request


@pytest.mark.parametrize("fault", ["before", "after", "writer killed"])
def test_no_failing_request_loses_or_doubles_anything(store: str, folder: Path, fault: str) -> None:
    """Every request in turn fails; the store ends up as without any failure.

    ``writer killed``: a new sender, which knows nothing, sends everything again from the start.
    """
    undisturbed = f"undisturbed {fault}"
    sender = Sender(target_of(store, undisturbed), folder)
    sender._client = FaultyClient(sender._client, -1, False)  # type: ignore[assignment]
    send_all(sender, SCENARIO)
    expected = comparable(store, undisturbed)
    requests = sender._client.requests  # type: ignore[attr-defined]
    assert requests > 15
    for at in range(1, requests + 1):
        target = target_of(store, f"{fault} {at}")
        sender = Sender(target, folder)
        sender._client = FaultyClient(sender._client, at, fault != "before")  # type: ignore[assignment]
        if fault == "writer killed":
            with pytest.raises(ConnectionError):
                send_all(sender, SCENARIO)
            send_all(Sender(target, folder), SCENARIO)
        else:
            failures = 0
            for act in [Sender.connect, *(lambda s, e=e: s.send(e) for e in merge(SCENARIO))]:
                try:
                    act(sender)
                except ConnectionError:
                    failures += 1
                    act(sender)
            assert failures == 1
        assert comparable(store, target.experiment) == expected, f"request {at}"


class OlderServer:
    """Stands before a real client: as MLflow up to 3.11, it takes a NaN that is there for new."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._nans: set[tuple[str, str, int]] = set()

    def log_batch(self, run_id: str, metrics: Any = (), **others: Any) -> None:
        nans = {(run_id, m.key, m.timestamp) for m in metrics if math.isnan(m.value)}
        if nans & self._nans:
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: metrics.key")
        self._client.log_batch(run_id, metrics=metrics, **others)
        self._nans |= nans

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_nan_that_an_older_server_has_already_is_not_in_the_way(store: str, folder: Path) -> None:
    sender = Sender(target_of(store, "nan"), folder)
    sender._client = OlderServer(sender._client)  # type: ignore[assignment]
    send_all(sender, [SWEEP, start("b", 4), report("b", 1, 5, loss=5.0)])
    points = [(2, 8, {"loss": math.nan}), (3, 9, {"epoch": 3.0, "loss": 4.0})]
    sender._log_points(sender._runs["b"], points[:1])
    for _ in range(2):  # the first one's answer was lost
        sender._log_points(sender._runs["b"], points)
    found = read_store(store, "nan")["b"]["points"]
    assert found["epoch"] == [(1, 1.0), (3, 3.0)]
    assert repr(found["loss"]) == "[(1, 5.0), (2, nan), (3, 4.0)]"


def comparable(store: str, experiment: str) -> str:
    """A store's content as text, since NaN does not equal itself."""
    runs = read_store(store, experiment)
    for run in runs.values():
        del run["tags"]["sweep_id"]
        run["tags"] = sorted(run["tags"].items())
    return repr(sorted(runs.items()))


def test_a_resumed_sweep_goes_on_in_the_same_runs(store: str, folder: Path) -> None:
    target = target_of(store, "resumed")
    send_all(Sender(target, folder), SCENARIO[:6])
    again = [{**SWEEP, "resumed": True}, start("a", 20, lr="0.1")]
    # The driver was killed: Tune repeats what it had reported since the trial's checkpoint.
    again += [report("a", step, 20 + step, loss=1 / step) for step in range(1, 5)]
    send_all(Sender(target, folder), [*again, END])
    runs = read_store(store, "resumed")
    assert set(runs) == {"parent", "a", "b"}
    assert runs["a"]["points"]["loss"] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert runs["a"]["tags"]["repeated_epochs"] == "1-2"
    assert runs["parent"]["tags"]["resumes"] == "1"
    assert runs["parent"]["status"] == "RUNNING"


def test_an_abandoned_sweep_is_marked_and_opened_again(store: str, folder: Path) -> None:
    target = target_of(store, "abandoned")
    sender = Sender(target, folder)
    send_all(sender, SCENARIO[:4])
    sender.abandon(time_ms=10)
    runs = read_store(store, "abandoned")
    assert {run["status"] for run in runs.values()} == {"KILLED"}
    send_all(Sender(target, folder), [SWEEP, start("b", 20, lr="0.2")])
    runs = read_store(store, "abandoned")
    assert {name: run["status"] for name, run in runs.items()} == {
        "parent": "RUNNING", "a": "KILLED", "b": "RUNNING"
    }  # fmt: skip


def test_many_names_take_several_requests(store: str, folder: Path) -> None:
    params = {f"p{i}": str(i) for i in range(250)}
    values = {f"m{i}": float(i) for i in range(2500)}
    events = [SWEEP, {**start("a", 2), "params": params}, report("a", 1, 3, **values)]
    events.append({"kind": "tags", "trial": "a", "tags": {f"t{i}": str(i) for i in range(150)}})
    send_all(Sender(target_of(store, "many"), folder), events)
    run = read_store(store, "many")["a"]
    assert run["params"] == params
    assert len(run["points"]) == 2501
    assert len([tag for tag in run["tags"] if tag.startswith("t")]) == 151  # trial_id too


def test_infinite_and_missing_values(store: str, folder: Path) -> None:
    events = [SWEEP, start("a", 2), report("a", 1, 3, up=math.inf, down=-math.inf)]
    send_all(Sender(target_of(store, "infinite"), folder), events)
    points = read_store(store, "infinite")["a"]["points"]
    assert points["up"][0][1] > 1e308
    assert points["down"][0][1] < -1e308


def test_two_sweeps_share_an_experiment(store: str, folder: Path) -> None:
    from mlflow import MlflowClient

    first = target_of(store, "shared")
    second = replace(first, sweep_id="other")
    for target in (first, second):
        send_all(Sender(target, folder), SCENARIO)
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("shared")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 6
    parents = {
        r.info.run_id: r.data.tags["sweep_id"] for r in runs if "trial_id" not in r.data.tags
    }
    for run in runs:
        if "trial_id" in run.data.tags:
            assert parents[run.data.tags["mlflow.parentRunId"]] == run.data.tags["sweep_id"]


def test_a_deleted_experiment_is_named(store: str, folder: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(store)
    client.delete_experiment(client.create_experiment("deleted"))
    with pytest.raises(ConnectionError, match="'deleted' is deleted: restore it"):
        Sender(target_of(store, "deleted"), folder).connect()


@pytest.mark.parametrize("bad", ["", "it's", "a b", "a/b"])
def test_a_sweep_id_that_mlflow_could_not_search_for_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="sweep_id must consist of letters"):
        Target("sqlite:////x.db", "e", "s", bad)


def test_a_database_of_another_version_is_named_with_what_to_do(store: str, tmp_path: Path) -> None:
    Sender(target_of(store, "version"), tmp_path).connect()
    other = tmp_path / "other.db"
    shutil.copy(store.removeprefix("sqlite:///"), other)
    with closing(sqlite3.connect(other)) as database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
        database.commit()
    with pytest.raises(MlflowException) as caught:
        probe._look(sqlite_uri(other), "version", "")
    assert "another version of MLflow has made" in probe._problem(caught.value)
    assert "mlflow db upgrade" in probe._problem(caught.value)


def delete(store: str, experiment: str) -> Any:
    client = MlflowClient(store)
    client.delete_experiment(client.get_experiment_by_name(experiment).experiment_id)
    return client


def test_an_experiment_that_is_deleted_or_gone_is_told_from_a_server_that_is_away(
    store: str, tmp_path: Path
) -> None:
    sender = Sender(target_of(store, "fleeting"), tmp_path)
    sender.ping()  # before it has connected, nothing is expected to be there
    sender.connect()
    sender.ping()
    client = delete(store, "fleeting")
    with pytest.raises(ExperimentDeletedError, match="restore it"):
        sender.ping()
    with pytest.raises(ExperimentDeletedError):
        Sender(target_of(store, "fleeting"), tmp_path).connect()
    found = client.get_experiment_by_name("fleeting").experiment_id
    client.restore_experiment(found)
    sender.ping()
    client.rename_experiment(found, "another")
    with pytest.raises(ExperimentLostError, match="not there any more"):
        sender.ping()
    client.create_experiment("fleeting")
    with pytest.raises(ExperimentLostError):
        sender.ping()
