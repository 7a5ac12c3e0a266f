"""A results folder as typed data frames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml

from analysis.history_files import HistoryRecord, load_histories
from analysis.outcomes import add_outcomes
from analysis.settings import axes_of

Mode = Literal["min", "max"]

TRIAL_COLUMNS = ("trial_id", "arm", "status", "configuration", "seed")
EPOCH_COLUMNS = ("trial_id", "arm", "epoch")
SECONDS_COLUMNS = ("train_s", "select_s", "eval_s", "wait_s")

# Metrics that are better when smaller, by the last word of their name; any other is maximised
# unless the sweep says otherwise.
_MINIMISED = {"loss", "error", "rmse", "mse", "mae", "mape", "perplexity", "nll"}


class ResultsError(ValueError):
    """A results folder that cannot be read; the message names the file, what is wrong, a remedy."""


@dataclass(frozen=True)
class Results:
    """One sweep's results.

    Attributes:
        folder: Where they came from.
        name: Of the sweep.
        sweep: The resolved ``sweep.yaml``; empty when there is none.
        trials: A row per trial, all phases: the file's own columns, and ``seconds`` (training plus
            selection), ``val`` (best validation metric), ``test`` (test metric at that epoch),
            ``test_final`` (last epoch) and ``outcome`` (see :mod:`analysis.outcomes`).
        epochs: A row per trial and finished epoch, ordered, waiting reports removed; with
            ``seconds``, ``val`` and ``test``.
        metric: The task's metric, such as ``accuracy``.
        mode: Whether a larger metric is better (``max``) or a smaller one (``min``).
        axes: Configuration keys that vary, without the ``config/`` prefix.
        histories: The subset histories in the folder.
        notes: What had to be assumed or could not be read, in sentences.
    """

    folder: Path
    name: str
    sweep: Mapping[str, Any]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    metric: str
    mode: Mode
    axes: tuple[str, ...]
    histories: tuple[HistoryRecord, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def search(self) -> pd.DataFrame:
        """The trials of the search itself: promoted configurations never enter arm statistics."""
        return self.trials[self.trials["phase"] != "promotion"]

    @property
    def promotions(self) -> pd.DataFrame:
        """Configurations trained once more on all the data after the search."""
        return self.trials[self.trials["phase"] == "promotion"]

    @property
    def sign(self) -> int:
        """+1 when a larger metric is better, else -1: ``sign * metric`` is always maximised."""
        return 1 if self.mode == "max" else -1

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share in [0, 1], shown in per cent and compared in points."""
        values = self.trials[["val", "test"]].to_numpy(dtype=float)
        finite = values[np.isfinite(values)]
        return self.mode == "max" and bool(((finite >= 0) & (finite <= 1)).all())

    def error(self, metric: Any) -> Any:
        """The metric as an error: 1 - metric for a share, the metric itself when minimised.

        Raises:
            ValueError: The metric is maximised and no share, so that it has no natural error.
        """
        if self.mode == "min":
            return metric
        if self.is_share:
            return 1.0 - metric
        raise ValueError(
            f"metric {self.metric!r} is maximised but not a share in [0, 1]: it has no error; "
            "report a share or a minimised metric"
        )

    @property
    def has_error(self) -> bool:
        """Whether :meth:`error` is defined."""
        return self.mode == "min" or self.is_share

    def arms(self) -> list[str]:
        """Arms of the search, in the sweep's order, the seed first and full training last."""
        return list(dict.fromkeys(self.search["arm"]))


def load(folder: str | os.PathLike[str]) -> Results:
    """Open a results folder.

    Args:
        folder: Holds ``trials.parquet`` and ``epochs.parquet``, and where there is one
            ``sweep.yaml`` and ``history/``.

    Raises:
        ResultsError: A file is missing or unreadable, or lacks columns (all of them listed).
    """
    folder = Path(folder)
    sweep = _read_sweep(folder / "sweep.yaml")
    trials, epochs = _read(folder / "trials.parquet"), _read(folder / "epochs.parquet")
    _require(folder / "trials.parquet", trials, TRIAL_COLUMNS)
    if not len(epochs):  # every trial failed before its first report
        epochs = _no_epochs(trials)
    _require(folder / "epochs.parquet", epochs, EPOCH_COLUMNS)
    metric, mode, metric_note = _metric(folder, sweep, trials, epochs)
    notes = [metric_note] if metric_note else []
    for column in SECONDS_COLUMNS:
        if column not in epochs:
            notes.append(f"The trials did not report {column}: what needs it is left out.")
    epochs = _typed_epochs(epochs, metric)
    trials = _typed_trials(trials, epochs, metric, mode)
    trials = _in_order(add_outcomes(trials, sweep), sweep)
    place = pd.Series(range(len(trials)), index=trials["trial_id"]).groupby(level=0).first()
    by_trial = epochs["trial_id"].map(place).to_numpy()
    epochs = epochs.iloc[np.lexsort((epochs["epoch"], by_trial))].reset_index(drop=True)
    histories, problems = load_histories(folder / "history")
    return Results(
        folder=folder,
        name=str(sweep.get("name") or folder.resolve().name),
        sweep=sweep,
        trials=trials,
        epochs=epochs,
        metric=metric,
        mode=mode,
        axes=axes_of(sweep, trials[trials["phase"] != "promotion"]),
        histories=tuple(histories),
        notes=tuple(notes + problems),
    )


def _read_sweep(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ResultsError(f"{path} is not YAML: {error}") from error
    if sweep is not None and not isinstance(sweep, dict):
        raise ResultsError(f"{path} must hold a mapping, got {type(sweep).__name__}")
    return sweep or {}


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise ResultsError(
            f"{path} does not exist; a results folder is what `tune-select run` writes to "
            "<storage_path>/<name>"
        )
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise ResultsError(f"{path} cannot be read as Parquet: {error}") from error


def _no_epochs(trials: pd.DataFrame) -> pd.DataFrame:
    """An empty table of the metric that the trials' columns name, accuracy where they name none."""
    best = [str(c).removeprefix("best_") for c in trials if str(c).startswith("best_val_")]
    metric = (best or ["val_accuracy"])[0]
    names = [metric, metric.replace("val_", "test_", 1), *SECONDS_COLUMNS]
    columns: dict[str, Any] = {"trial_id": pd.Series(dtype=str), "arm": pd.Series(dtype=str)}
    columns |= {"epoch": pd.Series(dtype=np.int64)}
    return pd.DataFrame(columns | {name: pd.Series(dtype=float) for name in names})


def _require(path: Path, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ResultsError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns)) or 'none'}"
        )


def _metric(
    folder: Path, sweep: Mapping[str, Any], trials: pd.DataFrame, epochs: pd.DataFrame
) -> tuple[str, Mode, str]:
    """The task's metric and its direction: what the sweep says, else what the columns say."""
    tune = sweep.get("tune") if isinstance(sweep.get("tune"), dict) else {}
    named = sweep.get("metric") or (tune or {}).get("metric")
    reported = [c.removeprefix("val_") for c in epochs if str(c).startswith("val_")]
    best = [c.removeprefix("best_val_") for c in trials if str(c).startswith("best_val_")]
    candidates = [name for name in [*best, *reported] if name != "loss"] or [
        *best,
        *reported,
    ]
    if isinstance(named, str):
        candidates.insert(0, named.removeprefix("val_"))
    usable = [name for name in candidates if f"val_{name}" in epochs]
    if not usable:
        raise ResultsError(
            f"{folder / 'epochs.parquet'} has no val_<metric> column; it has "
            f"{', '.join(map(str, epochs.columns))}: report a validation metric, "
            "such as val_accuracy"
        )
    metric = str(usable[0])
    stated = sweep.get("mode") or (tune or {}).get("mode")
    guessed = "min" if metric.split("_")[-1] in _MINIMISED else "max"
    mode: Mode = "min" if (stated if stated in ("min", "max") else guessed) == "min" else "max"
    note = ""
    if f"test_{metric}" not in epochs:
        note = f"No test_{metric} was reported: the validation metric stands in its place."
    return metric, mode, note


def _typed_epochs(epochs: pd.DataFrame, metric: str) -> pd.DataFrame:
    epochs = epochs.copy()
    if "waiting_for_interval" in epochs:  # a waiting report repeats an epoch and trains nothing
        waiting = pd.to_numeric(epochs["waiting_for_interval"], errors="coerce").fillna(-1) >= 0
        epochs = epochs[~waiting]
    epochs = epochs[pd.to_numeric(epochs["epoch"], errors="coerce").fillna(0) >= 1].copy()
    for column in ("trial_id", "arm"):
        epochs[column] = epochs[column].astype(str)
    epochs["epoch"] = epochs["epoch"].astype(np.int64)
    for column in epochs.columns.difference(["trial_id", "arm", "epoch"]):
        if epochs[column].dtype == object:
            epochs[column] = pd.to_numeric(epochs[column], errors="coerce")
    for column in SECONDS_COLUMNS:
        if column not in epochs:
            epochs[column] = np.nan
    # A trial restored from a checkpoint reports some epochs again: the last word counts.
    epochs = epochs.drop_duplicates(["trial_id", "epoch"], keep="last")
    epochs = epochs.sort_values(["trial_id", "epoch"], ignore_index=True)
    epochs["seconds"] = epochs["train_s"] + epochs["select_s"].fillna(0.0)
    epochs["val"] = epochs[f"val_{metric}"].astype(float)
    test = f"test_{metric}" if f"test_{metric}" in epochs else f"val_{metric}"
    epochs["test"] = epochs[test].astype(float)
    return epochs


def _typed_trials(
    trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, mode: Mode
) -> pd.DataFrame:
    trials = trials.copy()
    for column in ("trial_id", "arm", "status"):
        trials[column] = trials[column].astype(str)
    for column, default in (("phase", "search"), ("error", "")):
        values = trials[column] if column in trials else pd.Series(default, index=trials.index)
        trials[column] = values.astype(object).where(values.notna(), default).astype(str)
    if "selector" not in trials:
        trials["selector"] = trials["arm"]
    trials["selector"] = (
        trials["selector"].astype(object).where(trials["selector"].notna(), trials["arm"])
    ).astype(str)
    for column in ("configuration", "seed"):
        trials[column] = pd.to_numeric(trials[column], errors="coerce").fillna(-1).astype(np.int64)
    derived = _per_trial(epochs, mode).reindex(trials["trial_id"]).set_index(trials.index)
    for column in derived:
        # What the epochs say is the truth: one definition for every sweep, old or resumed.
        trials[column] = derived[column]
    return trials


def _in_order(trials: pd.DataFrame, sweep: Mapping[str, Any]) -> pd.DataFrame:
    """By phase, the search first; by arm in the sweep's order, the seed first and full training
    last; by configuration and seed: the order of every table and legend."""
    wanted = [
        str(arm.get("name")) if isinstance(arm, Mapping) else str(arm)
        for arm in sweep.get("arms") or []
    ]
    order = {arm: i for i, arm in enumerate(dict.fromkeys(["seed", "cached", *wanted]))}
    last = len(order)
    order["full"] = last + 1
    keys = pd.DataFrame(
        {
            "phase": (trials["phase"] == "promotion").astype(int),
            "arm": [order.get(arm, last) for arm in trials["arm"]],
            "name": trials["arm"],
            "configuration": trials["configuration"],
            "seed": trials["seed"],
        }
    )
    place = keys.sort_values(list(keys.columns), kind="stable").index
    return trials.loc[place].reset_index(drop=True)


def _per_trial(epochs: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """Per trial: best validation metric, test metric there and at the end, seconds, epochs."""
    grouped = epochs.groupby("trial_id", sort=False)
    last = grouped.tail(1).set_index("trial_id")
    finite = epochs[np.isfinite(epochs["val"])]
    by_trial = finite.groupby("trial_id", sort=False)["val"]
    best = finite.loc[by_trial.idxmax() if mode == "max" else by_trial.idxmin()]
    best = best.set_index("trial_id")
    frame = pd.DataFrame(index=last.index)
    for column in (*SECONDS_COLUMNS, "seconds"):
        frame[column] = last[column].astype(float)
    frame["epochs"] = last["epoch"].astype(float)
    frame["val"] = best["val"].reindex(frame.index)
    frame["test"] = best["test"].reindex(frame.index)
    frame["best_epoch"] = best["epoch"].reindex(frame.index).astype(float)
    frame["val_final"], frame["test_final"] = last["val"], last["test"]
    return frame
