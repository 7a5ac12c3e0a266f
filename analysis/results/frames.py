"""Typed tables from what a sweep or a user's own trainable reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.results.known import first_known

Mode = Literal["min", "max"]

SECONDS_COLUMNS = ("train_s", "select_s", "eval_s", "wait_s")

START_UP = "startup_s"  # making a trial ready: its data, model and optimizer; once per start

# Metrics that are better when smaller, by the last word of their name; any other is maximised
# unless the sweep says otherwise.
_MINIMISED = {"loss", "error", "rmse", "mse", "mae", "mape", "perplexity", "nll"}

ALL_TRIALS = "trials"
"""The arm of trials that have none: those of a search that compares no arms."""

# Numbers that a user's loop reports beside its metric.
_NO_METRICS = {
    *("epoch", "learning_rate", "lr", "subset_size", "examples_seen", "points_never_used"),
    *("training_iteration", "step", "energy_j", "startup_s", "phase", "trial_id", "arm"),
}
PART_ERROR = "validation_standard_error"
"""Column of a look that saw a part of the validation split: its accuracy's standard error."""


_NO_GUESSES = ("test_", "train_", "config/")  # looked at after the choice, or before it


class ResultsError(ValueError):
    """A results folder that cannot be read; the message names the file, what is wrong, a remedy."""


def completed(trials: pd.DataFrame, epochs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with the columns that a search without arms and seeds has no reason to write.

    A trial without an arm belongs to ``ALL_TRIALS``, one without a number is a configuration of its
    own, and a report without an epoch counts as the next one of its trial. A report is of the arm
    that its trial is of, whatever stands beside it.
    """
    defaults = {
        "arm": ALL_TRIALS,
        "status": "TERMINATED",
        "configuration": np.arange(len(trials)),
        "seed": 0,
    }
    lacking = {column: value for column, value in defaults.items() if column not in trials}
    trials = trials.assign(**lacking)
    if "trial_id" not in epochs:
        return trials, epochs
    arms = trials.set_index("trial_id")["arm"]
    epochs = epochs.assign(arm=epochs["trial_id"].map(arms))
    if "epoch" not in epochs:
        counted = epochs.groupby("trial_id", sort=False).cumcount() + 1
        epochs = epochs.assign(epoch=epochs.get("training_iteration", counted))
    return trials, epochs


def matched(trials: pd.DataFrame, epochs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Both tables of the same trials, each of which stands once among the trials.

    Args:
        trials: A row per trial.
        epochs: A row per report.

    Returns:
        Both, and what had to be left out, or ``""``.
    """
    said = []
    trials = trials.assign(trial_id=trials["trial_id"].astype(str))
    epochs = epochs.assign(trial_id=epochs["trial_id"].astype(str))
    twice = trials["trial_id"].duplicated(keep="last")
    if twice.any():
        said.append(f"{int(twice.sum())} trials stand more than once: their last row counts.")
    strange = ~epochs["trial_id"].isin(trials["trial_id"])
    if strange.any():
        said.append(
            f"{int(strange.sum())} of {len(epochs)} reports are of trials that the table of trials "
            "does not hold: they are left out."
        )
    return trials[~twice], epochs[~strange], " ".join(said)


def with_metric(epochs: pd.DataFrame, named: str | None) -> tuple[pd.DataFrame, str | None]:
    """The reports with a column ``val_<metric>``, whatever the metric is called.

    Args:
        epochs: The epochs with a column per reported number.
        named: The metric as its trials report it; ``None`` to take the one that they report.

    Returns:
        The reports, and the metric's name without ``val_``; ``None`` where it must be looked for
        among the columns that are there.
    """
    if named is None and not any(str(c).startswith("val_") for c in epochs):
        found = [
            str(c)
            for c in epochs
            if c not in _NO_METRICS
            and not str(c).startswith(_NO_GUESSES)
            and not str(c).endswith("_s")
            and pd.api.types.is_numeric_dtype(epochs[c])
            and not pd.api.types.is_bool_dtype(epochs[c])
        ]
        named = found[0] if len(found) == 1 else None
    if named is None:
        return epochs, None
    name = named.removeprefix("val_")
    if f"val_{name}" not in epochs and named in epochs:
        epochs = epochs.assign(**{f"val_{name}": pd.to_numeric(epochs[named], errors="coerce")})
    return epochs, name


def no_epochs(trials: pd.DataFrame, named: str | None = None) -> pd.DataFrame:
    """An empty table of the metric that is named or that the trials' columns name, or accuracy."""
    best = [str(c).removeprefix("best_") for c in trials if str(c).startswith("best_val_")]
    if named is not None:
        best.insert(0, f"val_{named.removeprefix('val_')}")
    metric = (best or ["val_accuracy"])[0]
    names = [metric, metric.replace("val_", "test_", 1), *SECONDS_COLUMNS]
    columns: dict[str, Any] = {"trial_id": pd.Series(dtype=str), "arm": pd.Series(dtype=str)}
    columns |= {"epoch": pd.Series(dtype=np.int64)}
    return pd.DataFrame(columns | {name: pd.Series(dtype=float) for name in names})


def named_metric(sweep: Mapping[str, Any]) -> str | None:
    """The metric that a sweep names, as its trials report it."""
    tune = sweep.get("tune")
    named = sweep.get("metric") or (tune.get("metric") if isinstance(tune, Mapping) else None)
    return named if isinstance(named, str) else None


def metric_of(
    folder: Path, sweep: Mapping[str, Any], trials: pd.DataFrame, epochs: pd.DataFrame
) -> tuple[str, Mode, str]:
    """The task's metric and its direction: what the sweep says, else what the columns say.

    Args:
        folder: The results folder, for errors.
        sweep: Its ``sweep.yaml``.
        trials: Rows of ``trials.parquet``.
        epochs: Rows of ``epochs.parquet``.
    """
    tune = sweep.get("tune") if isinstance(sweep.get("tune"), dict) else {}
    named = named_metric(sweep)
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
            "such as val_accuracy, or name the one to compare by (metric=..., --metric)"
        )
    metric = str(usable[0])
    stated = sweep.get("mode") or (tune or {}).get("mode")
    guessed = "min" if metric.split("_")[-1] in _MINIMISED else "max"
    mode: Mode = "min" if (stated if stated in ("min", "max") else guessed) == "min" else "max"
    note = ""
    if f"test_{metric}" not in epochs:
        note = f"No test_{metric} was reported: the validation metric stands in its place."
    return metric, mode, note


def typed_epochs(epochs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Finished epochs, ordered, each once, with seconds, val, test and whether it was evaluated.

    Args:
        epochs: Reports with whole numbers of epochs, see ``numbered``.
        metric: Name of the task's metric.
    """
    epochs = epochs.copy()
    for column in ("trial_id", "arm"):
        epochs[column] = epochs[column].astype(str)
    for column in epochs.columns.difference(["trial_id", "arm", "epoch"]):
        if not pd.api.types.is_numeric_dtype(epochs[column]):  # text, times, objects
            epochs[column] = pd.to_numeric(epochs[column].astype(object), errors="coerce")
    for column in SECONDS_COLUMNS:
        if column not in epochs:
            epochs[column] = np.nan
    # A trial restored from a checkpoint reports some epochs again: the last word counts.
    epochs = epochs.drop_duplicates(["trial_id", "epoch"], keep="last")
    epochs = epochs.sort_values(["trial_id", "epoch"], ignore_index=True)
    epochs["seconds"] = epochs["train_s"] + epochs["select_s"].fillna(0.0)
    # All that a trial's slot was busy with: NaN only where no second at all was measured.
    parts = [column for column in (*SECONDS_COLUMNS, START_UP) if column in epochs]
    epochs["slot_s"] = epochs[parts].astype(float).sum(axis=1, min_count=1)
    if "time_total_s" in epochs:
        # Tune's own count, for a loop of somebody's own that does not time its training: what it
        # waited and selected for, which our sampler reports, would pass for all that it took.
        tunes = epochs["time_total_s"].astype(float)
        epochs["slot_s"] = epochs["slot_s"].mask(epochs["train_s"].isna() & tunes.notna(), tunes)
    epochs["val"] = epochs[f"val_{metric}"].astype(float)
    test = f"test_{metric}" if f"test_{metric}" in epochs else f"val_{metric}"
    epochs["test"] = epochs[test].astype(float)
    epochs["evaluated"] = _evaluated(epochs)  # before val_error, which is no metric
    # Of a share that was counted on a part of the split; 0 where the whole of it was seen.
    known = metric == "accuracy" and PART_ERROR in epochs
    epochs["val_error"] = epochs[PART_ERROR].astype(float).fillna(0.0) if known else 0.0
    return epochs


def _evaluated(epochs: pd.DataFrame) -> pd.Series:
    """Which epochs were evaluated.

    A trial that evaluates every few epochs reports no metric in between. That is no divergence, if
    its training loss is finite there (where it has one) and a metric comes again later in this
    trial or the trials before and after do the same.
    """
    metrics = [c for c in epochs if str(c).startswith(("val_", "test_"))]
    reported = epochs[metrics].notna().any(axis=1)
    sound = pd.Series(True, index=epochs.index)
    if "train_loss" in epochs:
        loss = epochs["train_loss"].astype(float)
        sound = np.isfinite(loss) | ~np.isfinite(loss).any()
    later = reported[::-1].groupby(epochs["trial_id"][::-1], sort=False).cummax()[::-1]
    skips = bool((~reported & sound & later).any())
    return reported | ~(sound & (later | skips))


def typed_trials(
    trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, mode: Mode
) -> pd.DataFrame:
    """Trials with their types, and what their epochs add up to.

    Args:
        trials: Rows of ``trials.parquet``.
        epochs: Rows of ``epochs.parquet``, typed.
        metric: Name of the task's metric.
        mode: ``max`` or ``min``.
    """
    trials = trials.copy()
    for column in ("trial_id", "arm", "status"):
        trials[column] = trials[column].astype(str)
    for column, default in (("phase", "search"), ("error", "")):
        values = trials[column] if column in trials else pd.Series(default, index=trials.index)
        trials[column] = first_known(values, default).astype(str)
    if "selector" not in trials:
        trials["selector"] = trials["arm"]
    trials["selector"] = first_known(trials["selector"], trials["arm"]).astype(str)
    for column in ("configuration", "seed"):
        trials[column] = pd.to_numeric(trials[column], errors="coerce").fillna(-1).astype(np.int64)
    derived = _per_trial(epochs, mode).reindex(trials["trial_id"]).set_index(trials.index)
    recorded = pd.to_numeric(trials.get("slot_s", pd.Series(dtype=float)), errors="coerce")
    for column in derived:
        # What the epochs say is the truth: one definition for every sweep, old or resumed.
        trials[column] = derived[column]
    # How long a slot was held is more than what the trial measured of itself: where the sweep
    # recorded it, the difference (checkpoints, reports on their way) is paid for too.
    held = recorded.reindex(trials.index).astype(float)
    trials["slot_s"] = trials["slot_s"].where(~(held >= trials["slot_s"].fillna(0.0)), held)
    if START_UP not in trials:
        trials[START_UP] = np.nan
    trials[START_UP] = pd.to_numeric(trials[START_UP], errors="coerce").astype(float)
    return trials


def spread_overhead(epochs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The epochs with ``slot_s`` that ends at its trial's.

    What passed between a trial's reports (checkpoints, the reports' way) was measured as a whole:
    it is laid evenly on the epochs.
    """
    held = trials.drop_duplicates("trial_id").set_index("trial_id")["slot_s"]
    by_trial = epochs.groupby("trial_id", sort=False)
    rest = epochs["trial_id"].map(held).astype(float) - by_trial["slot_s"].transform("last")
    share = epochs["epoch"] / by_trial["epoch"].transform("last")
    return epochs.assign(slot_s=epochs["slot_s"] + rest.fillna(0.0).clip(lower=0.0) * share)


def in_order(trials: pd.DataFrame, sweep: Mapping[str, Any]) -> pd.DataFrame:
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


def _judged(epochs: pd.DataFrame) -> pd.DataFrame:
    """The epochs of which the best stands for its trial: both splits were measured there.

    Where the test split is measured after the last epoch alone, that is the last epoch. A trial
    that never came to it, because a scheduler stopped it, stands by the last epoch that was looked
    at: which epochs before that were looked at may depend on how fast the machine was.
    """
    finite = epochs[np.isfinite(epochs["val"])]
    both = np.isfinite(finite["test"])
    tested = both.groupby(finite["trial_id"]).transform("any")
    all_seen = epochs["evaluated"].groupby(epochs["trial_id"]).all()
    last = ~finite["trial_id"].duplicated(keep="last")
    whole = finite["trial_id"].map(all_seen).astype(bool)
    return finite[both | (~tested & (whole | last))]


def _per_trial(epochs: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """Per trial: best validation metric, test metric there and at the end, seconds, epochs."""
    grouped = epochs.groupby("trial_id", sort=False)
    last = grouped.tail(1).set_index("trial_id")
    rated = epochs[epochs["evaluated"]].groupby("trial_id", sort=False).tail(1)
    rated = rated.set_index("trial_id")[["val"]].reindex(last.index)
    finite = _judged(epochs)
    by_trial = finite.groupby("trial_id", sort=False)["val"]
    best = finite.loc[by_trial.idxmax() if mode == "max" else by_trial.idxmin()]
    best = best.set_index("trial_id")
    frame = pd.DataFrame(index=last.index)
    for column in (*SECONDS_COLUMNS, "seconds", "slot_s"):
        frame[column] = last[column].astype(float)
    frame["epochs"] = last["epoch"].astype(float)
    frame["val"] = best["val"].reindex(frame.index)
    frame["val_error"] = best["val_error"].reindex(frame.index)
    frame["test"] = best["test"].reindex(frame.index)
    # Where the test split is evaluated at the end alone, its value there is the only one.
    tested = epochs[epochs["test"].notna()].groupby("trial_id", sort=False)["test"].last()
    frame["test"] = frame["test"].where(frame["test"].notna(), tested.reindex(frame.index))
    frame["best_epoch"] = best["epoch"].reindex(frame.index).astype(float)
    frame["val_final"] = rated["val"]
    frame["test_final"] = tested.reindex(frame.index)
    return frame
