"""The parts of the test metric: a detector's precision by object size (Cai et al., Table 4)."""

from __future__ import annotations

import pandas as pd

from analysis.questions.methods.schedules import epoch_time_table
from analysis.results.load import Results
from analysis.results.outcomes import USABLE


def metric_parts(results: Results) -> dict[str, str]:
    """Columns of the test metric and its parts, and their names; empty where it has no parts.

    Parts are metrics that carry the metric's name: ``test_map_small`` beside ``test_map``. A share
    that is negative everywhere stands for "no such objects", as COCO has it, and is left out.
    """
    whole = f"test_{results.metric}"
    parts = [str(c) for c in results.epochs if str(c).startswith(whole + "_")]
    if results.is_share:
        parts = [column for column in parts if (results.epochs[column] >= 0).any()]
    if whole not in results.epochs or not parts:
        return {}
    return {c: c.removeprefix("test_").replace("_", " ") for c in (whole, *parts)}


def parts_table(results: Results) -> pd.DataFrame:
    """Means by arm at each trial's best validation epoch, with time.

    Returns:
        ``arm``, the columns of :func:`metric_parts`, ``seconds`` (train + select), ``t_diff_s``
        (Cai et al., eq. 3; NaN for arms without a schedule) and ``trials``.
    """
    columns = list(metric_parts(results))
    trials = results.search[results.search["outcome"].isin(USABLE)]
    trials = trials[["trial_id", "arm", "seconds", "best_epoch"]]
    at_best = trials.merge(
        results.epochs[["trial_id", "epoch", *columns]],
        left_on=["trial_id", "best_epoch"],
        right_on=["trial_id", "epoch"],
    )
    saved = epoch_time_table(results)[["trial_id", "t_diff_s"]].astype({"t_diff_s": float})
    at_best = at_best.merge(saved, on="trial_id", how="left")
    at_best[columns] = at_best[columns].astype(float).where(lambda values: values >= 0)
    grouped = at_best.groupby("arm", sort=False)
    table = grouped[[*columns, "seconds", "t_diff_s"]].mean()
    return table.assign(trials=grouped.size()).reset_index()
