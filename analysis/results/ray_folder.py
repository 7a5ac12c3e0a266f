"""Any Tuner's folder as the two tables of a results folder, read without Ray.

Ray Tune keeps what is needed as JSON: ``experiment_state-*.json`` names the trials, their status
and configuration, and each trial's ``result.json`` holds its reports, a line each. Nothing is
unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.results.frames import ALL_TRIALS, ResultsError

BOOKKEEPING = frozenset(
    {
        *("timestamp", "time_this_iter_s", "should_checkpoint", "done", "training_iteration"),
        *("date", "time_total_s", "pid", "hostname", "node_ip", "time_since_restore"),
        *("iterations_since_restore", "trial_id", "experiment_tag", "checkpoint_dir_name"),
        *("waiting_for_interval", "history_published", "history_complete", "config"),
        *("slot_started", "slot_reported", "timesteps_total", "episodes_total"),
    }
)
"""What Tune and the sweep add to every report: no results of training."""

_KEPT = ("training_iteration", "time_total_s", "waiting_for_interval")
_STATES = "experiment_state-*.json"
_LOG = "result.json"


def is_ray_folder(folder: Path) -> bool:
    """Whether a Tuner wrote a folder, and no sweep has made its tables."""
    return not (folder / "trials.parquet").exists() and any(
        True for _ in (*folder.glob(_STATES), *folder.glob("*/result.json"))
    )


def read_ray_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials and reports of a Tuner's folder.

    Args:
        folder: ``<storage_path>/<name>`` of its ``RunConfig``.

    Returns:
        As ``trials.parquet`` and ``epochs.parquet``: a row per trial and a row per report; a trial
        that never reported has the first alone.

    Raises:
        ResultsError: A file in it is no JSON, or not what Tune writes.
    """
    trials, reports = [], []
    for trial in _trials(folder):
        own = _reports(folder / trial["folder"] / "result.json")
        trials.append(_row(trial, own, folder))
        for report in own:
            values = {k: v for k, v in flat(report) if _is_result(k) or k in _KEPT}
            reports.append({"trial_id": trial["trial_id"], "arm": trials[-1]["arm"], **values})
    return trial_frame(trials), pd.DataFrame(reports)


def trial_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Trials as a frame; those that differ in the training seed alone share a configuration.

    Args:
        rows: The rows with ``config``, the nested configuration, and whatever else is known of a
            trial.
    """
    numbers: dict[str, int] = {}
    made = []
    for row in rows:
        config = dict(row.get("config") or {})
        point = {k: v for k, v in config.items() if k not in ("seed", "arm", "history")}
        key = json.dumps(point, sort_keys=True, default=str)
        number = config.get("configuration", numbers.setdefault(key, len(numbers)))
        # What the trial's arm came to, where an integration of ours ran it: a sweep cut short.
        arm = config.pop("resolved_arm", None)
        resolved = {k: arm[k] for k in ("kind", "selector")} if isinstance(arm, Mapping) else {}
        settings = {f"config/{k}": v for k, v in flat(config)}
        known = {k: v for k, v in row.items() if k != "config"} | resolved
        made.append({**known, "configuration": number, "seed": config.get("seed", 0), **settings})
    return pd.DataFrame(made)


def _trials(folder: Path) -> Iterator[dict[str, Any]]:
    """What the newest state says of each trial, and folders of which it says nothing."""
    named: dict[str, dict[str, Any]] = {}
    states = sorted(folder.glob(_STATES))
    for state, about in _saved(states[-1]) if states else []:
        place = str(state.get("relative_logdir") or "")
        named[place] = {
            "trial_id": str(state.get("trial_id", place)),
            "folder": place,
            "status": str(state.get("status") or ""),
            "config": _plain(_mapping(state.get("config") or {}, states[-1], "a config")),
            "started": about.get("start_time"),
            "ended": about.get("last_result_time"),
        }
    for path in sorted((*folder.glob("*/result.json"), *folder.glob("*/params.json"))):
        place = path.parent.name
        if place not in named:
            named[place] = {"trial_id": place, "folder": place, "status": "", "config": None}
    yield from named.values()


def _saved(path: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """What a state says of each trial: its own, and how far it came; JSON inside of JSON."""
    pairs = _mapping(_json(path), path, "the whole").get("trial_data", [])
    for pair in pairs if isinstance(pairs, list) else [None]:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise ResultsError(_odd(path, "trial_data", pair))
        state, about = (_parsed(text, path) for text in pair)
        yield _mapping(state, path, "a trial"), _mapping(about, path, "a trial's progress")


def _row(
    trial: Mapping[str, Any], reports: Sequence[Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    own = folder / str(trial["folder"])
    last = reports[-1] if reports else {}
    config = trial["config"]
    if config is None:
        path = own / "params.json"
        config = last.get("config") or (_json(path) if path.is_file() else {})
        config = _mapping(config, path if "config" not in last else own / _LOG, "the config")
    errors = own / "error.txt"
    lines = errors.read_text(errors="replace").split("\n") if errors.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    status = trial["status"] or ("TERMINATED" if last.get("done") else "RUNNING")
    return {
        **{k: trial[k] for k in ("trial_id", "started", "ended") if k in trial},
        "arm": str(config.get("arm") or ALL_TRIALS),
        "status": "ERROR" if said and status != "TERMINATED" else status,
        "error": said[-1] if said and status != "TERMINATED" else None,
        "config": config,
    }


def _reports(path: Path) -> list[dict[str, Any]]:
    """Reports, a line each; a last line that a crash cut off is left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.split("\n") if line.strip()]
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            report = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number < len(lines):
                raise ResultsError(f"{path}, line {number}, is not JSON: {error}") from error
            continue
        found.append(dict(_mapping(report, path, f"line {number}")))
    return found


def _json(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error
    return _parsed(text, path)


def _parsed(text: Any, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ResultsError(f"{path} is not JSON: {error}") from error


def _mapping(value: Any, path: Path, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ResultsError(_odd(path, what, value))
    return value


def _odd(path: Path, what: str, value: Any) -> str:
    return f"{path} is not what Tune writes: {what} is {value!r:.80}"


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what Tune could only pickle (a function, an object)."""
    return {
        key: _plain(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if not (isinstance(value, Mapping) and "_type" in value)
    }


def _is_result(key: str) -> bool:
    return key.split("/")[0] not in BOOKKEEPING


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a nested mapping as (``a/b``, value); lists and the like become text."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}/")
        elif value is None or isinstance(value, bool | int | float | str):
            yield f"{prefix}{key}", value
        else:
            yield f"{prefix}{key}", str(value)
