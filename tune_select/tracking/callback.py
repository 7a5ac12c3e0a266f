"""``MLflowCallback``: a Ray Tune sweep as one MLflow run with a nested run per trial."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import Callback

from tune_select.reporting import each_report
from tune_select.secrets import mask_text, mask_uri, recall_uri, remember_uri

from .events import (
    clean_tags,
    is_waiting,
    metrics_of,
    now_ms,
    params_of,
    run_name,
    step_of,
    tags_of,
    trial_params,
)
from .link import SPOOL_NAME, SpoolLink, link_to, release
from .target import Target, check_uri, default_spool_folder, make_target, require_driver

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

_log = logging.getLogger(__name__)


class MLflowCallback(Callback):
    """Logs a sweep to MLflow without ever holding it up.

    Each hook appends to a journal on disk (tens of microseconds); a process of its own sends it.
    A server that is down, slow or comes back is therefore never felt by the training and loses
    nothing; what is unsent at the end stays in the results folder (``flush_spool``).

    One parent run per sweep, one nested run per trial: parameters, metrics with the epoch as step,
    tags ``arm``, ``selector``, ``configuration``, ``seed``, ``seed_trial``, ``history_key``,
    ``trial_id``, ``restarts``, ``repeated_epochs``. Runs are found again by ``sweep_id`` when a
    sweep is resumed. A report that repeats an epoch (a restarted trial) is counted, not logged
    twice; parameters that change on the way (PBT) become tags ``param/<name>``. Reports that a
    replay waits are no training results and are left out.

    Works in any ``tune.Tuner`` (``RunConfig(callbacks=[MLflowCallback(...)])``). It can be pickled;
    the pickle holds the tracking URI without its password.

    Args:
        tracking_uri: ``sqlite:///path``, ``http://host:port``, ``postgresql://...``; may refer to
            environment variables as ``${NAME}``.
        experiment: MLflow experiment; made when it does not exist.
        sweep: Name of the parent run.
        sweep_id: Identifies the sweep across resumes: letters, digits and ``_ . : -``.
        tags: Tags for the parent run and every nested run.
        trial_tags: Tags for the nested runs only.
        folder: The sweep's results folder; the journal goes to ``tracking/`` in it. Without one (or
            when results are not on a local disk) it goes to the user's state folder.
        params: Parameters of the parent run, such as the resolved sweep; nested ones are flattened.
        constant: Names of trials' parameters that are the same in all of them: nested runs leave
            them out, so that MLflow's own plots show what varies.
        artifacts: Names of files or folders in a trial's own folder to log when it ends.
        artifact_root: Where artifacts of a new experiment go when no server decides that.
        finish_at_end: Close the parent run and wait for the last events when the search ends. A
            caller that has more to log passes False and calls ``log_to_sweep_run`` at its own end.
        drain_timeout_s: Longest such wait without anything being sent.

    Raises:
        ImportError: mlflow, or the driver of the URI's database, is not installed.
        ValueError: A malformed URI or sweep_id.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment: str,
        sweep: str,
        sweep_id: str,
        tags: Mapping[str, str] | None = None,
        *,
        trial_tags: Mapping[str, str] | None = None,
        folder: str | os.PathLike[str] | None = None,
        params: Mapping[str, Any] | None = None,
        constant: Collection[str] = (),
        artifacts: Sequence[str] = (),
        artifact_root: str | None = None,
        finish_at_end: bool = True,
        drain_timeout_s: float = 60.0,
    ) -> None:
        require_mlflow()
        require_driver(check_uri(tracking_uri))
        base = Path(folder).absolute() if folder is not None else default_spool_folder(sweep_id)
        self._target = make_target(
            tracking_uri, experiment, sweep, sweep_id, tags, base, artifact_root
        )
        self._spool = base / SPOOL_NAME
        self._params = params_of(params or {})
        self._constant = frozenset(constant)
        self._trial_tags = clean_tags(trial_tags or {})
        self._artifacts = tuple(artifacts)
        self._finish_at_end = finish_at_end
        self._drain_timeout_s = drain_timeout_s
        self._seeds: dict[str, str] = {}  # trial id of the seed by history key
        self._resumed = False

    def __repr__(self) -> str:
        return (
            f"MLflowCallback({mask_uri(self._target.tracking_uri)!r}, "
            f"{self._target.experiment!r}, {self._target.sweep!r}, {self._target.sweep_id!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        masked = {**self._target.as_dict(), "tracking_uri": remember_uri(self._target.tracking_uri)}
        return {**self.__dict__, "_target": masked}

    def __setstate__(self, state: dict[str, Any]) -> None:
        fields = dict(state["_target"])
        fields["tracking_uri"] = recall_uri(fields["tracking_uri"]) or fields["tracking_uri"]
        self.__dict__.update({**state, "_target": Target(**fields)})

    def get_state(self) -> dict[str, Any]:
        """What Tune saves for a resume; the rest is found in MLflow and in the journal."""
        return {"seeds": dict(self._seeds)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take ``get_state``'s value when Tune resumes the sweep."""
        self._seeds = dict(state["seeds"])
        self._resumed = True

    def _link(self) -> SpoolLink:
        return link_to(self._spool, self._target)

    # -- Tune's hooks -------------------------------------------------------------------------

    def setup(
        self, stop: Any = None, num_samples: Any = None, total_num_samples: Any = None, **info: Any
    ) -> None:
        """Open the journal and the parent run."""
        event = {
            "kind": "sweep",
            "time_ms": now_ms(),
            "params": self._params,
            "tags": {},
            "resumed": self._resumed,
        }
        self._link().append(event)

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Open a trial's run, or open it again after a pause or a crash."""
        config = trial.config
        tags = {**self._trial_tags, **tags_of(config), "trial_id": trial.trial_id}
        key = tags.get("history_key", "")
        if tags.get("arm") == "seed":
            self._seeds[key] = trial.trial_id
        if key in self._seeds:
            tags["seed_trial"] = self._seeds[key]
        if trial.num_failures:
            tags["restarts"] = str(trial.num_failures)
        name = run_name(config, trial.evaluated_params, trial.trial_id)
        event = {
            "kind": "start",
            "time_ms": now_ms(),
            "trial": trial.trial_id,
            "name": name,
            "params": trial_params(config, self._constant),
            "tags": tags,
        }
        self._link().append(event)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Log each epoch of a report, unless it only says that a replay waits."""
        for report in each_report(result):
            if is_waiting(report):
                continue
            event = {
                "kind": "metrics",
                "time_ms": now_ms(),
                "trial": trial.trial_id,
                "step": step_of(report),
                "values": metrics_of(report),
            }
            self._link().append(event)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Log a trial's artifacts and close its run."""
        self._end(trial, "FINISHED", self._artifacts, {})

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Close the run of a trial that failed for good, with its error."""
        tags = {}
        if trial.error_file and Path(trial.error_file).is_file():
            text = mask_text(Path(trial.error_file).read_text(errors="replace"))
            lines = text.strip().splitlines()
            tags["error"] = lines[-1] if lines else ""
            self._log_text(trial, Path(trial.error_file).name, text)
        self._end(trial, "FAILED", self._artifacts, tags)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Close the parent run, unless the caller does that."""
        if not self._finish_at_end:
            return
        ended = {trial.status for trial in trials}
        status = "FAILED" if "ERROR" in ended else "FINISHED"
        if ended - {"ERROR", "TERMINATED"}:
            status = "KILLED"  # interrupted: a resume goes on
        link = self._link()
        link.append({"kind": "finish", "time_ms": now_ms(), "status": status, "metrics": {}})
        link.drain(self._drain_timeout_s)
        release(self._spool)

    def _log_text(self, trial: Trial, name: str, text: str) -> None:
        """Log a text as a trial's artifact, from a copy that goes once it is sent."""
        try:
            copy = Path(tempfile.mkdtemp(prefix="outbox-", dir=self._link().spool)) / name
            copy.write_text(text)
        except OSError as error:  # a full disk: its last line is a tag
            _log.warning("tracking: cannot keep %s of trial %s: %s", name, trial.trial_id, error)
            return
        path = str(copy.relative_to(self._spool.parent))
        event = {"kind": "artifact", "trial": trial.trial_id, "path": path, "remove": True}
        self._link().append({**event, "time_ms": now_ms(), "artifact_path": None})

    def _end(
        self, trial: Trial, status: str, artifacts: Sequence[str], tags: Mapping[str, str]
    ) -> None:
        link = self._link()
        for name in artifacts:
            path = _trial_file(trial, name)
            if path is not None:
                link.append(
                    {
                        "kind": "artifact",
                        "time_ms": now_ms(),
                        "trial": trial.trial_id,
                        "path": str(path),
                        "artifact_path": None,
                    }
                )
        link.append(
            {
                "kind": "end",
                "time_ms": now_ms(),
                "trial": trial.trial_id,
                "status": status,
                "tags": clean_tags(tags),
            }
        )


def _trial_file(trial: Trial, name: str) -> Path | None:
    """A trial's file: one that Tune writes on the driver, or one the trial put in the results."""
    for folder in (trial.local_path, trial.path):
        if folder and Path(folder, name).exists():
            return Path(folder, name)
    return None


def require_mlflow() -> None:
    """Raise a clear ImportError where mlflow is not installed, without importing it."""
    if importlib.util.find_spec("mlflow") is None:
        raise ImportError(
            "tracking needs mlflow, which is not installed: `pip install mlflow`, or turn tracking "
            "off (`tracking: false`, or `-o tracking=false`)"
        )
