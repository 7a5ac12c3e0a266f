"""From what Tune left in a folder to the two tables that analysis reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from ray.tune import ExperimentAnalysis
from ray.tune.experiment import Trial

from analysis.results.ray_folder import flat
from tune_select.arms import arm_of, final_settings
from tune_select.scheduling.failures import parse_failure
from tune_select.search.ladder import LADDER_KEYS
from tune_select.secrets import mask_text, mask_value
from tune_select.sweep.folder.result_log import reports_of
from tune_select.sweep.folder.slot_times import REPORTED, STARTED, held, stays

# What Tune adds to every report, and our own bookkeeping that is no metric.
_NOT_METRICS = frozenset(
    {
        "timestamp",
        "time_this_iter_s",
        "should_checkpoint",
        "done",
        "training_iteration",
        "date",
        "time_total_s",
        "pid",
        "hostname",
        "node_ip",
        "time_since_restore",
        "iterations_since_restore",
        "trial_id",
        "experiment_tag",
        "checkpoint_dir_name",
        "waiting_for_interval",
        "history_published",
        "history_complete",
        STARTED,
        REPORTED,
    }
)


_COUNTS = ("epoch", "subset_size", "examples_seen")


def collect(
    analysis: ExperimentAnalysis,
    *,
    phase: str,
    histories_of: Callable[[Mapping[str, Any]], list[str]],
    metric: str,
    mode: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials and epochs of one Tune experiment.

    Args:
        analysis: The analysis of a finished or interrupted experiment.
        phase: ``"search"`` or ``"promotion"``, a column of the result.
        histories_of: The function from a trial's configuration to the names of the seed trials'
            histories that it wrote or trained on.
        metric: The validation metric that the search optimised, such as ``val_accuracy``.
        mode: ``"min"`` or ``"max"``.

    Returns:
        A row per trial and a row per trial and epoch, with the columns that the results folder
        promises. A trial that failed before its first report has a row with what is known of it.
    """
    rows, frames = [], []
    reports = reports_of(analysis)
    for trial in sorted(analysis.trials, key=_place):
        log = reports[trial.trial_id]
        epochs = _epochs(log)
        arm = str(trial.config.get("arm", ""))
        rows.append(
            {
                "trial_id": trial.trial_id,
                "arm": arm,
                "phase": phase,
                "status": _status(trial, epochs),
                "error": _error(trial),
                **cell_columns(trial.config, histories_of),
                **_last_and_best(epochs, metric, mode),
                **resolved_columns(trial.config),
                **held(stays(log)),
            }
        )
        if len(epochs):
            # "epoch" first: a table is read from the left.
            columns = ["epoch", *(name for name in epochs.columns if name != "epoch")]
            frame = epochs[columns]
            frame.insert(0, "arm", arm)
            frame.insert(0, "trial_id", trial.trial_id)
            frame.insert(2, "phase", phase)
            frames.append(frame)
    epochs = pd.concat(frames, ignore_index=True) if frames else _no_epochs()
    trials = pd.DataFrame(rows)
    if rows and "epoch" not in trials:  # stopped before anything was reported
        trials = trials.assign(epoch=math.nan)
    return trials, epochs


def cell_columns(
    config: Mapping[str, Any], histories_of: Callable[[Mapping[str, Any]], list[str]]
) -> dict[str, Any]:
    """Which cell of the sweep a trial is: its configuration as columns.

    Args:
        config: Its whole configuration.
        histories_of: The same as for ``collect``.
    """
    settings = final_settings(config)
    settings = {key: value for key, value in settings.items() if key not in LADDER_KEYS}
    return {
        "configuration": int(config.get("configuration", -1)),
        "seed": config.get("seed", 0),
        "history": ";".join(histories_of(config)) or None,
        **ladder_columns(config),
        **{f"config/{k}": mask_value(k, value) for k, value in sorted(flat(settings))},
    }


def ladder_columns(config: Mapping[str, Any]) -> dict[str, Any]:
    """Where a trial of a ladder, or of a rival, stands; nothing in other sweeps."""
    if "strategy" not in config:
        return {}
    return {
        "strategy": str(config["strategy"]),
        "rung": int(config.get("rung", -1)),
        "rung_name": str(config.get("rung_name", "")),
        "promoted_from": str(config.get("promoted_from", "")),
    }


def resolved_columns(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial's arm came to; analysis reads it here and never resolves an arm of its own.

    Of a trial whose configuration could not be resolved, which therefore failed, as much as stands
    in it.
    """
    try:
        arm = arm_of(config)
    except (TypeError, ValueError):
        return {"selector": str(config.get("arm", ""))}
    return {
        "kind": arm.kind,
        "selector": arm.selector,
        "fraction": arm.fraction,
        "planned_epochs": None if arm.plan is None else arm.plan.epochs,
        "warm_start_epochs": None if arm.plan is None else arm.plan.warm_start_epochs,
    }


def _place(trial: Trial) -> tuple[int, str, int, str]:
    """Where a trial stands in the table, whatever order Tune ran or restored it in."""
    config = trial.config
    number, seed = int(config.get("configuration", -1)), int(config.get("seed", 0))
    return number, str(config.get("arm")), seed, str(trial.trial_id)


def _epochs(frame: pd.DataFrame | None) -> pd.DataFrame:
    if frame is None or not len(frame):
        return _no_epochs()
    if "epoch" not in frame:  # a trainable of the user's own: Tune counts its reports
        frame = frame.assign(epoch=frame["training_iteration"])
    if "waiting_for_interval" in frame:
        frame = frame[~(frame["waiting_for_interval"] >= 0)]
    # A trial that resumed behind its last report repeats epochs; the later row is what counted.
    frame = frame.drop_duplicates("epoch", keep="last").sort_values("epoch")
    keep = [name for name in frame.columns if not _is_bookkeeping(name)]
    # Reports of waiting lack the counts, which makes them floats until those rows are gone.
    whole = [name for name in _COUNTS if name in frame and frame[name].notna().all()]
    return frame[keep].astype(dict.fromkeys(whole, "int64")).reset_index(drop=True)


def _is_bookkeeping(name: str) -> bool:
    return name in _NOT_METRICS or name.startswith("config/")


def _no_epochs() -> pd.DataFrame:
    return pd.DataFrame({"epoch": pd.Series(dtype="int64")})


def _status(trial: Trial, epochs: pd.DataFrame) -> str:
    if trial.status == Trial.ERROR:
        return "failed"
    if trial.status != Trial.TERMINATED:
        return "unfinished"
    planned = resolved_columns(trial.config).get("planned_epochs")
    reached = int(epochs["epoch"].iloc[-1]) if len(epochs) else 0
    return "stopped" if planned is not None and reached < planned else "finished"


def _error(trial: Trial) -> str | None:
    """The exception itself, without the traceback that Tune wraps around it."""
    if trial.status != Trial.ERROR:
        return None
    return mask_text(str(parse_failure(str(trial.get_error() or ""))))


def _last_and_best(epochs: pd.DataFrame, metric: str, mode: str) -> dict[str, Any]:
    """The last report, and the epoch that a trial is judged by.

    That is the best of those whose model was measured on the validation and on the test split. With
    the test split left to the last epoch it is the last one, so that which epochs a plan by seconds
    looked at decides nothing. Of a trial that never saw the test split (it was stopped, or there is
    none) it is the last that was looked at, for the same reason, or the best where all were.
    """
    if not len(epochs):
        return {}
    row: dict[str, Any] = dict(epochs.iloc[-1])
    if metric not in epochs or epochs[metric].isna().all():
        return row
    test_metric = metric.replace("val_", "test_", 1)
    tested = test_metric in epochs and bool(epochs[test_metric].notna().any())
    seen = epochs[epochs[metric].notna()]
    judged = seen
    if tested:
        judged = seen[seen[test_metric].notna()]
    elif len(seen) < len(epochs):
        judged = seen.tail(1)
    if not len(judged):
        return row
    best = judged[metric].idxmax() if mode == "max" else judged[metric].idxmin()
    row[f"best_{metric}"] = judged.at[best, metric]
    row["best_epoch"] = int(judged.at[best, "epoch"])
    if test_metric in epochs:  # a trainable of one's own may report none
        row[f"{test_metric}_at_best"] = judged.at[best, test_metric]
    return row
