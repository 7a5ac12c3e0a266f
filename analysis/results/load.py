"""A results folder as typed data frames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis.files import read_table
from analysis.results.epoch_numbers import numbered, without_waiting
from analysis.results.frames import (
    SECONDS_COLUMNS,
    Mode,
    ResultsError,
    completed,
    in_order,
    matched,
    metric_of,
    named_metric,
    no_epochs,
    spread_overhead,
    typed_epochs,
    typed_trials,
    with_metric,
)
from analysis.results.history_files import HistoryRecord, load_histories
from analysis.results.outcomes import add_outcomes
from analysis.results.ray_folder import is_ray_folder, read_ray_folder
from analysis.results.settings import axes_of
from analysis.results.slots import (
    load_runs,
    load_stays,
    load_strategies,
    no_runs,
    no_stays,
    no_strategies,
)
from analysis.results.stopped import stopped_note

TRIAL_COLUMNS = ("trial_id",)
EPOCH_COLUMNS = ("trial_id",)


def of_search(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the search itself, by ``phase``: neither of promoted configurations nor rivals.

    Args:
        frame: Trials, or when they held slots.
    """
    return frame[~frame["phase"].isin(["promotion", "rival"])]


@dataclass(frozen=True)
class Results:
    """One sweep's results.

    Attributes:
        folder: Where they came from.
        name: The name of the sweep.
        sweep: The resolved ``sweep.yaml``; empty when there is none.
        trials: A row per trial, all phases: the file's own columns, and ``seconds`` (training plus
            selection), ``slot_s`` (all that its slot was held for), ``val`` (best validation
            metric), ``test`` (test metric at that epoch), ``test_final`` (last epoch) and
            ``outcome`` (see :mod:`analysis.results.outcomes`).
        epochs: A row per trial and finished epoch, ordered, waiting reports removed; with
            ``seconds``, ``val`` and ``test``.
        metric: The task's metric, such as ``accuracy``.
        mode: Whether a larger metric is better (``max``) or a smaller one (``min``).
        axes: Configuration keys that vary, without the ``config/`` prefix.
        histories: The subset histories in the folder.
        notes: What had to be assumed or could not be read, in sentences.
        slots: When which trial held a slot: ``trial_id``, ``arm``, ``phase``, ``started`` and
            ``ended`` (unix seconds), ``startup_s``; empty where the sweep did not record it.
        runs: Calls of the command: ``started``, ``ended`` (unix seconds), ``slots``; likewise.
        strategies: Ways to search that ran, the sweep's own and its rivals: ``strategy``,
            ``started``, ``ended``, ``wall_s``, ``slots``, ``chosen_trial``,
            ``chosen_configuration`` and ``test_<metric>`` of the choice; empty without them.
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
    slots: pd.DataFrame = field(default_factory=no_stays)
    runs: pd.DataFrame = field(default_factory=no_runs)
    strategies: pd.DataFrame = field(default_factory=no_strategies)

    @property
    def search(self) -> pd.DataFrame:
        """The trials of the search itself: neither promoted configurations nor rivals."""
        return of_search(self.trials)

    @property
    def promotions(self) -> pd.DataFrame:
        """Configurations trained once more on all the data after the search."""
        return self.trials[self.trials["phase"] == "promotion"]

    def paid(self, trials: pd.DataFrame) -> pd.DataFrame:
        """Those of ``trials`` that were trained, for adding up what they took.

        The others show, in their own cell, the training of another trial that was the same.
        """
        if "same_as" not in self.trials:
            return trials
        own = self.trials.loc[self.trials["same_as"].isna(), "trial_id"]
        return trials[trials["trial_id"].isin(own)]

    @property
    def sign(self) -> int:
        """+1 when a larger metric is better, else -1: ``sign * metric`` is always maximised."""
        return 1 if self.mode == "max" else -1

    @property
    def tested_along(self) -> bool:
        """Whether trials measured the test split on their way, and not after the last epoch alone.

        Without it there are no curves of the test metric, and no time at which it reached a value.
        """
        seen = np.isfinite(self.epochs["test"]).groupby(self.epochs["trial_id"]).sum()
        return bool((seen > 1).any())

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

    @property
    def selection_only(self) -> bool:
        """Whether the space varies nothing but selection: then full training cannot rank it."""
        return bool(self.axes) and all(axis.split("/")[0] == "selection" for axis in self.axes)

    def arms(self) -> list[str]:
        """Arms of the search, in the sweep's order, the seed first and full training last."""
        return list(dict.fromkeys(self.search["arm"]))


def load(
    folder: str | os.PathLike[str], *, metric: str | None = None, mode: Mode | None = None
) -> Results:
    """Open a results folder, or the folder of any Tuner.

    Args:
        folder: Holds ``trials.parquet`` and ``epochs.parquet``, and where there is one
            ``sweep.yaml`` and ``history/``; or what ``tune.Tuner`` left in
            ``<storage_path>/<name>``.
        metric: The reported name by which configurations are compared; by default what the sweep
            says, else what the reports hold.
        mode: ``max`` or ``min``; likewise, else guessed from the metric's name.

    Raises:
        ResultsError: A file is missing or unreadable, lacks its key, or no metric is to be found.
        ValueError: ``mode`` is neither.
    """
    folder = Path(folder)
    if is_ray_folder(folder):
        trials, epochs = read_ray_folder(folder)
    else:
        trials, epochs = _read(folder / "trials.parquet"), _read(folder / "epochs.parquet")
        _require(folder / "trials.parquet", trials, TRIAL_COLUMNS)
        if len(epochs):
            _require(folder / "epochs.parquet", epochs, EPOCH_COLUMNS)
    return from_frames(folder, trials, epochs, metric=metric, mode=mode)


def from_frames(
    folder: Path,
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    *,
    metric: str | None = None,
    mode: Mode | None = None,
) -> Results:
    """Results from the two tables.

    Args:
        folder: Where ``sweep.yaml``, ``history/`` and the like are, if they are anywhere.
        trials: A row per trial with at least ``trial_id``.
        epochs: A row per report with at least ``trial_id``; may be empty.
        metric: The metric as for :func:`load`.
        mode: The mode as for :func:`load`.

    Raises:
        ResultsError: No metric is to be found.
        ValueError: ``mode`` is neither ``max`` nor ``min``.
    """
    if mode not in ("max", "min", None):
        raise ValueError(f"mode must be max or min, got {mode!r}")
    sweep = _read_sweep(folder / "sweep.yaml")
    if not len(epochs):  # every trial failed before its first report
        epochs = no_epochs(trials, metric)
    trials, epochs, unmatched = matched(trials, epochs)
    trials, epochs = trials.reset_index(drop=True), epochs.reset_index(drop=True)
    trials, epochs = completed(trials, epochs)
    epochs, named = with_metric(epochs, metric or named_metric(sweep))
    asked = dict(sweep) | ({"metric": named} if named else {}) | ({"mode": mode} if mode else {})
    if metric is not None and f"val_{named}" not in epochs:
        raise ResultsError(
            f"metric {metric!r} was not reported; reported were "
            f"{', '.join(str(c) for c in epochs.columns if c not in ('trial_id', 'arm'))}"
        )
    name, direction, metric_note = metric_of(folder, asked, trials, epochs)
    notes = [note for note in (metric_note, unmatched) if note]
    for column in SECONDS_COLUMNS:
        if column not in epochs:
            notes.append(f"The trials did not report {column}: what needs it is left out.")
    epochs, counted = numbered(without_waiting(epochs))
    notes += [counted] if counted else []
    epochs = typed_epochs(epochs, name)
    trials = typed_trials(trials, epochs, name, direction)
    epochs = spread_overhead(epochs, trials)
    trials = in_order(add_outcomes(trials, sweep), sweep)
    place = pd.Series(range(len(trials)), index=trials["trial_id"]).groupby(level=0).first()
    by_trial = epochs["trial_id"].map(place).to_numpy()
    epochs = epochs.iloc[np.lexsort((epochs["epoch"], by_trial))].reset_index(drop=True)
    histories, problems = load_histories(folder / "history")
    searched = trials[trials["phase"] != "promotion"]
    return Results(
        folder=folder,
        name=str(sweep.get("name") or folder.resolve().name),
        sweep=sweep,
        trials=trials,
        epochs=epochs,
        metric=name,
        mode=direction,
        axes=axes_of(sweep, trials[trials["phase"] != "promotion"]),
        histories=tuple(histories),
        notes=(*notes, *problems, *_shared_note(trials), *stopped_note(folder, sweep, searched)),
        slots=load_stays(folder / "slots.parquet"),
        runs=load_runs(folder / "runs.json"),
        strategies=load_strategies(folder / "strategies.parquet"),
    )


def _shared_note(trials: pd.DataFrame) -> tuple[str, ...]:
    shared = int(trials["same_as"].notna().sum()) if "same_as" in trials else 0
    if not shared:
        return ()
    cells = "1 cell shows" if shared == 1 else f"{shared} cells show"
    return (
        f"{cells} the training of another cell's trial, which theirs would have repeated: what "
        "tells them apart is nothing that their arm reads. It was trained once, and its seconds "
        "and joules count once in every sum; same_as in trials.parquet names it.",
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
    try:
        return read_table(path)
    except FileNotFoundError:
        raise ResultsError(
            f"{path} does not exist; a results folder is what `tune-select run` writes to "
            "<storage_path>/<name>, or what a tune.Tuner leaves there"
        ) from None
    except ValueError as error:
        raise ResultsError(f"{path} is {error}") from error


def _require(path: Path, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ResultsError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns)) or 'none'}"
        )
