"""Carries events to MLflow: finds or makes the runs, logs each point once.

Only this module and ``experiment`` talk to MLflow; the writer process alone imports them. Every
call may be repeated after a failure: runs are found again by their tags, points that are already
there are recognised by step and time, and everything else overwrites itself.
"""

from __future__ import annotations

import getpass
import math
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .events import Event, as_ranges, clean_tags
from .experiment import ExperimentLostError, find_experiment, refuse_deleted
from .known_run import KnownRun, Point
from .target import Target

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

_Item = TypeVar("_Item")
_METRICS_PER_REQUEST = 1000  # MLflow's own limits for one log_batch
_OTHERS_PER_REQUEST = 100
_IS_THERE = re.compile("IntegrityError|UniqueViolation")  # SQLite's and MySQL's, PostgreSQL's


class Sender:
    """Sends merged events (``events.merge``) to one MLflow experiment.

    Args:
        target: The sweep; with the full tracking URI.
        folder: Relative artifact paths are in it.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        from mlflow import MlflowClient

        self._target = target
        self._folder = folder
        self._client = MlflowClient(tracking_uri=target.tracking_uri)
        self._experiment_id: str | None = None
        self._parent: KnownRun | None = None
        self._runs: dict[str, KnownRun] = {}
        self._unsure: set[str | None] = set()  # may exist: a request to make it got no answer

    def send(self, event: Event) -> None:
        """Carry out one event, and raise whatever MLflow raises.

        Sending the same event again after an exception is safe. ``connect`` comes first.
        """
        handler = getattr(self, f"_send_{event['kind']}", None)
        if handler is None:
            raise ValueError(f"no such kind of event: {event['kind']!r}")
        handler(event)

    # -- runs ---------------------------------------------------------------------------------

    def connect(self) -> None:
        """Find the experiment and the runs that the sweep already has; once."""
        if self._experiment_id is not None:
            return
        experiment_id = find_experiment(self._client, self._target)
        for run in self._search(experiment_id, f"tags.sweep_id = '{self._target.sweep_id}'"):
            self._adopt(run)
        self._experiment_id = experiment_id

    def ping(self) -> None:
        """Ask for the experiment, and raise where the server does not answer properly.

        Raises:
            ExperimentDeletedError: It was deleted since.
            ExperimentLostError: It is gone with all runs, as from a server with a new database.
        """
        found = self._client.get_experiment_by_name(self._target.experiment)
        if self._experiment_id is None:
            return
        if found is None or str(found.experiment_id) != self._experiment_id:
            raise ExperimentLostError(
                f"the MLflow experiment {self._target.experiment!r} is not there any more"
            )
        refuse_deleted(found)

    def _search(self, experiment_id: str, filter_string: str) -> Iterable[Run]:
        token = None
        while True:
            page = self._client.search_runs(
                [experiment_id], filter_string, max_results=500, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _adopt(self, run: Run) -> KnownRun:
        known = KnownRun.of(run)
        if "trial_id" in known.tags:
            self._runs[known.tags["trial_id"]] = known
        else:
            self._parent = known
        return known

    def _parent_run(self, event: Event) -> KnownRun:
        if self._parent is None:
            tags = {"mlflow.user": _user(), "mlflow.source.name": "tune-select"}
            self._parent = self._make(None, self._target.sweep, event["time_ms"], tags)
        return self._parent

    def _run(self, event: Event) -> KnownRun:
        trial: str | None = event.get("trial")
        if trial is None:
            return self._parent_run(event)
        if trial not in self._runs:
            parent = self._parent_run({"time_ms": _time_ms(event)})
            tags = {
                "mlflow.user": _user(),
                "mlflow.parentRunId": parent.run_id,
                "trial_id": trial,
                **event.get("tags", {}),
            }
            self._runs[trial] = self._make(
                trial, str(event.get("name", trial)), _time_ms(event), tags
            )
        return self._runs[trial]

    def _make(self, trial: str | None, name: str, time_ms: int, tags: dict[str, str]) -> KnownRun:
        """Make a run, unless an earlier attempt that got no answer has made it."""
        if trial in self._unsure:
            sweep = f"tags.sweep_id = '{self._target.sweep_id}'"
            for run in self._search(str(self._experiment_id), sweep):
                if run.data.tags.get("trial_id") == trial:
                    self._unsure.discard(trial)
                    return self._adopt(run)
        all_tags = {**clean_tags(self._target.tags), **tags, "sweep_id": self._target.sweep_id}
        self._unsure.add(trial)
        run = self._client.create_run(
            str(self._experiment_id), start_time=time_ms, tags=all_tags, run_name=name
        )
        self._unsure.discard(trial)
        return KnownRun(run.info.run_id, open=True, tags=all_tags)

    # -- kinds of events ----------------------------------------------------------------------

    def _send_sweep(self, event: Event) -> None:
        fresh = self._parent is None
        parent = self._parent_run(event)
        if not fresh:
            resumes = int(parent.tags.get("resumes", 0)) + (1 if event.get("resumed") else 0)
            self._set_tags(parent, {"resumes": str(resumes)} if resumes else {})
        self._reopen(parent)
        self._set_params(parent, event.get("params", {}))
        self._set_tags(parent, event.get("tags", {}))

    def _send_start(self, event: Event) -> None:
        run = self._run(event)
        self._reopen(run)
        self._set_params(run, event["params"])
        self._set_tags(run, event["tags"])

    def _send_metrics(self, event: Event) -> None:
        run = self._run(event)
        self._learn_points(run)
        new = run.new_points(event["points"])
        self._log_points(run, new.points)
        if new.repeated != run.repeated:
            self._set_tags(run, {"repeated_epochs": as_ranges(new.repeated)})
        run.last_step, run.repeated = new.last_step, new.repeated

    def _send_past(self, event: Event) -> None:
        """Log what the tracker lacks of a whole trial."""
        run = self._run(event)
        self._set_params(run, event["params"])
        self._set_tags(run, event["tags"])
        run.stale = bool(self._client.get_run(run.run_id).data.metrics)
        self._learn_points(run)
        there = {step for step, _ in run.logged}
        points = [point for point in event["points"] if point[0] not in there]
        self._log_points(run, points)
        run.logged |= {(step, time_ms) for step, time_ms, _ in points}
        run.last_step = max([run.last_step, *(step for step, _, _ in event["points"])])
        if event["status"] is not None and run.open:
            last_ms = event["points"][-1][1] if event["points"] else event["time_ms"]
            self._terminate(run, event["status"], last_ms)

    def _send_tags(self, event: Event) -> None:
        self._set_tags(self._run(event), event["tags"])

    def _send_artifact(self, event: Event) -> None:
        run = self._run(event)
        path = self._folder / event["path"]
        inside = event.get("artifact_path") or None
        if path.is_dir():
            self._client.log_artifacts(run.run_id, str(path), inside)
        else:
            self._client.log_artifact(run.run_id, str(path), inside)
        if event.get("remove"):  # a copy made for sending, in a folder of its own
            shutil.rmtree(path.parent)

    def _send_end(self, event: Event) -> None:
        run = self._run(event)
        self._set_tags(run, event.get("tags", {}))
        self._terminate(run, event["status"], event["time_ms"])

    def _send_finish(self, event: Event) -> None:
        parent = self._parent_run(event)
        self._log_points(parent, [(0, event["time_ms"], event["metrics"])])
        if event["status"] is None:
            return
        for run in self._runs.values():
            if run.open:
                self._terminate(run, "KILLED", event["time_ms"])
        self._terminate(parent, event["status"], event["time_ms"])

    def abandon(self, time_ms: int) -> None:
        """Mark the sweep's open runs KILLED: its driver is gone. A resume opens them again."""
        if self._parent is not None and self._parent.open:
            self._send_finish(
                {"kind": "finish", "time_ms": time_ms, "status": "KILLED", "metrics": {}}
            )

    # -- small steps --------------------------------------------------------------------------

    def _log_points(self, run: KnownRun, points: Iterable[Point]) -> None:
        from mlflow.entities import Metric

        fresh = [
            Metric(key, value, time_ms, step)
            for step, time_ms, values in points
            for key, value in values.items()
        ]
        for chunk in _chunks(fresh, _METRICS_PER_REQUEST):
            if self._is_taken(run, chunk):
                continue
            # Of what an earlier try has logged, older servers (MLflow 3.11 is one) leave out the
            # numbers but not NaN, which they take for new: each of these goes by itself.
            self._client.log_batch(run.run_id, metrics=[p for p in chunk if not _is_nan(p)])
            for point in filter(_is_nan, chunk):
                self._is_taken(run, [point])

    def _is_taken(self, run: KnownRun, points: list[Metric]) -> bool:
        """Log some points; whether the server did not refuse a NaN for being there already."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_batch(run.run_id, metrics=points)
        except MlflowException as error:
            if not _IS_THERE.search(str(error)) or not any(map(_is_nan, points)):
                raise
            return False
        return True

    def _learn_points(self, run: KnownRun) -> None:
        """Ask MLflow once what an earlier writer has logged of a run."""
        if not run.stale:
            return
        metrics = self._client.get_run(run.run_id).data.metrics
        # Any metric that every report carries tells the steps.
        mark = next((key for key in ("epoch", "time_total_s") if key in metrics), min(metrics))
        history = self._client.get_metric_history(run.run_id, mark)
        run.logged = {(point.step, point.timestamp) for point in history}
        # The newest, not the highest: PBT sets trials back and goes on from there.
        run.last_step = max(history, key=lambda point: (point.timestamp, point.step)).step
        run.stale = False

    def _set_params(self, run: KnownRun, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        changed = {k: v for k, v in params.items() if k in run.params and run.params[k] != v}
        fresh = [Param(key, value) for key, value in params.items() if key not in run.params]
        for chunk in _chunks(fresh, _OTHERS_PER_REQUEST):
            self._client.log_batch(run.run_id, params=chunk)
        # MLflow never changes a parameter; PBT and requeued trials do. And a trial that goes on
        # with others may go back in epochs: from here on its steps are new, not repeated.
        tags = [RunTag(f"param/{key}", value) for key, value in changed.items()]
        for tag_chunk in _chunks(tags, _OTHERS_PER_REQUEST):
            self._client.log_batch(run.run_id, tags=tag_chunk)
        if changed:
            self._learn_points(run)
            run.last_step = -1
        run.params.update(params)

    def _set_tags(self, run: KnownRun, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        fresh = [RunTag(k, v) for k, v in clean_tags(tags).items() if run.tags.get(k) != v]
        for chunk in _chunks(fresh, _OTHERS_PER_REQUEST):
            self._client.log_batch(run.run_id, tags=chunk)
        run.tags.update({tag.key: tag.value for tag in fresh})

    def _reopen(self, run: KnownRun) -> None:
        if not run.open:
            self._client.update_run(run.run_id, status="RUNNING")
            run.open = True

    def _terminate(self, run: KnownRun, status: str, time_ms: int) -> None:
        self._client.set_terminated(run.run_id, status, time_ms)
        run.open = False


def _time_ms(event: Event) -> int:
    return int(event["points"][0][1] if event.get("points") else event["time_ms"])


def _is_nan(point: Metric) -> bool:
    return math.isnan(point.value)


def _chunks(items: list[_Item], size: int) -> Iterable[list[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such name in a bare container
        return "unknown"
