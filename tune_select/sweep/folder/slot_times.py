"""When each trial held a slot: from what the driver noted beside every report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd
from ray.tune import ExperimentAnalysis

STARTED, REPORTED = "slot_started", "slot_reported"
"""Columns of Tune's log: unix seconds of the trial's latest start and of the report, the driver's
clock (Tune's own ``timestamp`` has whole seconds, which a short trial is over in)."""

STAY_COLUMNS = ("trial_id", "arm", "phase", "started", "ended", "startup_s")


def stays(log: pd.DataFrame | None) -> pd.DataFrame:
    """The times at which one trial held a slot: several where it stepped aside or was restarted.

    Args:
        log: Tune's log of the trial, waiting reports included.

    Returns:
        ``started`` and ``ended`` (unix seconds, the making ready counted) and ``startup_s``
        of it (NaN where the trainable does not say); empty without a report.
    """
    columns = ["started", "ended", "startup_s"]
    if log is None or not len(log):
        return pd.DataFrame(columns=columns, dtype=float)
    own = pd.DataFrame(
        {
            "started": _numbers(log, STARTED),
            "ended": _numbers(log, REPORTED),
            "startup_s": _numbers(log, "startup_s"),
        }
    )
    if own["started"].isna().all():
        own = own.assign(**_from_tunes_clock(log))
    grouped = own.dropna(subset=["started", "ended"]).groupby("started", as_index=False)
    found = grouped.agg(ended=("ended", "max"), startup_s=("startup_s", "last"))
    # Tune calls a trial started when it is ready to train: making it ready came before.
    return found.assign(started=found["started"] - found["startup_s"].fillna(0.0))[columns]


def _from_tunes_clock(log: pd.DataFrame) -> dict[str, pd.Series]:
    """Of a log without our columns: a stay begins where Tune counts its iterations from one."""
    ended, took_s = _numbers(log, "timestamp"), _numbers(log, "time_this_iter_s").fillna(0.0)
    since = _numbers(log, "iterations_since_restore")
    first = ~(since.diff() > 0)
    return {"started": (ended - took_s).where(first).ffill(), "ended": ended}


def _numbers(log: pd.DataFrame, column: str) -> pd.Series:
    if column not in log:
        return pd.Series(math.nan, index=log.index, dtype=float)
    return pd.to_numeric(log[column], errors="coerce").astype(float)


def held(own: pd.DataFrame) -> dict[str, float]:
    """A trial's stays together, for its row: ``started``, ``ended``, ``slot_s``, ``startup_s``."""
    if not len(own):
        return {}
    return {
        "started": float(own["started"].min()),
        "ended": float(own["ended"].max()),
        "slot_s": float((own["ended"] - own["started"]).sum()),
        "startup_s": float(own["startup_s"].sum(min_count=1)),
    }


def collect_stays(found: ExperimentAnalysis, phase: str) -> pd.DataFrame:
    """All stays of one Tune experiment.

    Args:
        found: The analysis of a finished or interrupted experiment.
        phase: ``"search"`` or ``"promotion"``, a column of the result.

    Returns:
        A row per stay with the columns ``STAY_COLUMNS``.
    """
    frames = []
    for trial in found.trials:
        own = stays(found.trial_dataframes.get(trial.trial_id))
        arm = str(trial.config.get("arm", ""))
        frames.append(own.assign(trial_id=trial.trial_id, arm=arm, phase=phase))
    frames = [frame for frame in frames if len(frame)]
    every = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return every.reindex(columns=list(STAY_COLUMNS))


def slots_of(cluster: Mapping[str, float], resources: Iterable[tuple[str, float]]) -> int:
    """How many trials a cluster holds at once.

    Args:
        cluster: What Ray says that it has, such as ``{"CPU": 2.0}``.
        resources: What a trial takes, by Ray's name or the sweep's.
    """
    names = {"cpu": "CPU", "gpu": "GPU"}
    fits = [
        math.floor(cluster.get(names.get(name, name), 0.0) / amount + 1e-9)
        for name, amount in resources
        if amount > 0
    ]
    return max(min(fits, default=1), 1)
