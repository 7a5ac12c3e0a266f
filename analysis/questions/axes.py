"""The test metric along one axis of the space: noise, fractions, stretched learning rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX, label_of


def independent_axes(results: Results) -> list[str]:
    """The axes, without those that follow from an earlier one (epochs from a stretched rate)."""
    kept: list[str] = []
    columns = [PREFIX + axis for axis in results.axes]
    points = results.search[[c for c in columns if c in results.search]].astype(str)
    for axis in results.axes:
        column = PREFIX + axis
        if column not in points:
            continue
        follows = any((points.groupby(PREFIX + k)[column].nunique() <= 1).all() for k in kept)
        if not follows:
            kept.append(axis)
    return kept


def axis_frame(results: Results, axis: str) -> pd.DataFrame:
    """Test metric by arm and value of an axis, over all other axes (Balles et al., Figs. 1, 2, 5).

    Returns:
        ``arm``, ``value`` (as people write it), ``test`` (mean over the seeds' means), ``low`` and
        ``high`` (the seeds' smallest and largest mean), ``trials`` and ``missing`` (trials without
        a usable result). Values ascend where they are numbers.
    """
    trials = results.search[
        (results.search["arm"] != "seed") & results.search[PREFIX + axis].notna()
    ]
    trials = trials.assign(value=trials[PREFIX + axis].map(label_of))
    keys = ["arm", "value"]
    usable = trials[trials["outcome"].isin(USABLE)]
    seeds = usable.groupby([*keys, "seed"], sort=False)["test"].mean()
    frame = seeds.groupby(keys, sort=False).agg(test="mean", low="min", high="max")
    counts = trials.groupby(keys, sort=False).size()
    frame = frame.reindex(counts.index)
    own = usable.groupby(keys, sort=False).size().reindex(counts.index).fillna(0).astype(int)
    frame = frame.assign(trials=own, missing=counts - own).reset_index()
    places = {value: i for i, value in enumerate(ordered(frame["value"].unique()))}
    arms = {arm: i for i, arm in enumerate(results.arms())}
    order = np.lexsort((frame["value"].map(places), frame["arm"].map(arms)))
    return frame.iloc[order].reset_index(drop=True)


def ordered(values: Sequence[str]) -> list[str]:
    """Numbers by size; other values as they come."""
    try:
        return sorted(values, key=float)
    except ValueError:
        return list(values)
