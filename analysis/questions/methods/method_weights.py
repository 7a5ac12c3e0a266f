"""The scalars that a mini-batch selector recorded per iteration: AdaSelection's method weights."""

from __future__ import annotations

import math

import pandas as pd

from analysis.results.load import Results
from analysis.results.trial_files import read_trial_files, trial_of

FILE = "selection_trace.parquet"
"""In a trial's folder: ``epoch``, ``iteration`` within it, and a column per scalar."""

_PREFIX = "method_weight_"


def load_traces(results: Results) -> tuple[pd.DataFrame, list[str]]:
    """Every trial's method weights below a results folder, long.

    Returns:
        ``arm``, ``configuration``, ``seed``, ``step`` (selections since the start, from 0),
        ``method`` and ``weight``; and a sentence for each file that cannot be read.
    """
    frames = []
    found, problems = read_trial_files(results.folder, FILE, ("epoch", "iteration"))
    for name, frame in found.items():
        trial = trial_of(results.search, name)
        weights = [column for column in frame if str(column).startswith(_PREFIX)]
        if trial is None or not weights:
            continue
        frame = frame.sort_values(["epoch", "iteration"], ignore_index=True)[weights]
        frame.columns = [column.removeprefix(_PREFIX) for column in weights]
        long = frame.rename_axis("step").reset_index()
        long = long.melt(id_vars="step", var_name="method", value_name="weight")
        frames.append(
            long.assign(arm=trial.arm, configuration=trial.configuration, seed=trial.seed)
        )
    columns = ["arm", "configuration", "seed", "step", "method", "weight"]
    empty = pd.DataFrame(columns=columns)
    return (pd.concat(frames, ignore_index=True)[columns] if frames else empty), problems


def mean_weights(traces: pd.DataFrame, *, points: int = 200) -> pd.DataFrame:
    """Means over seeds, for drawing.

    Args:
        traces: The result of :func:`load_traces`.
        points: The most steps of each arm and configuration, evenly spaced, the
            last always among them.

    Returns:
        ``arm``, ``configuration``, ``method``, ``step``, ``weight``, ``low`` and ``high`` (range
        over seeds).
    """
    keys = ["arm", "configuration", "method", "step"]
    if traces.empty:
        return pd.DataFrame(columns=[*keys, "weight", "low", "high"])
    last = traces.groupby(["arm", "configuration"])["step"].transform("max")
    every = ((last + 1) / points).map(math.ceil)
    kept = traces[(last - traces["step"]) % every == 0]
    grouped = kept.groupby(keys, sort=False)["weight"]
    return grouped.agg(weight="mean", low="min", high="max").reset_index()
