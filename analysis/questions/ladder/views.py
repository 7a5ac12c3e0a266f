"""Which cheap view orders configurations as full training does: by accuracy, by loss."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.load import Results
from analysis.results.outcomes import WORST
from analysis.statistics.bootstrap import Interval, paired_bootstrap
from analysis.statistics.cube import panel, shared
from analysis.statistics.ranking import tau_of

SCORES = ("metric", "loss", "calibrated")
"""By what a view may rank: the task's metric, the loss, the loss at a fitted temperature."""

LOSSES = {"loss": "val_loss", "calibrated": "val_calibrated_loss"}
"""By score, the column of the epochs that it is read from; the metric's own aside."""


def view_table(results: Results, *, level: float = 0.95, resamples: int = 2000) -> pd.DataFrame:
    """Kendall's tau of each arm's order with full training's, by each score.

    An arm is a view of the configurations: fewer examples, fewer epochs, another selection. Its
    order is that of its scores at the last epoch, averaged over training seeds; full training's own
    is that of its best validation metric, as everywhere else. Trials that diverged rank last. The
    intervals are :func:`analysis.statistics.bootstrap.paired_bootstrap`'s.

    Args:
        results: The results of a sweep with full training.
        level: Nominal coverage.
        resamples: The resamples of the bootstrap.

    Returns:
        A row per arm, the cheapest first: ``arm``, ``share`` (examples trained on over full
        training's, on the pairs of configuration and seed that both ran; NaN where they were not
        counted), ``configurations``, ``seeds``, and for each of ``SCORES`` ``tau_<score>`` with
        ``_low`` and ``_high`` (NaN where the score was not reported); ``resampled`` in words.
        Empty without full training.
    """
    rows: list[dict[str, Any]] = []
    arms = [arm for arm in results.arms() if arm not in ("full", "seed")]
    for arm in arms if "full" in results.arms() else []:
        row: dict[str, Any] = {"arm": arm, "share": example_share(results, arm), "resampled": ""}
        for score in SCORES:
            cube = _cube(results, arm, score)
            found = Interval(math.nan)
            if cube.size and cube.shape[1] > 1:
                row |= {"configurations": cube.shape[1], "seeds": cube.shape[2]}
                found = paired_bootstrap(
                    tau_of, cube, level=level, resamples=resamples, bounds=(-1.0, 1.0)
                )
                row["resampled"] = row["resampled"] or found.resampled
            row |= {f"tau_{score}": found.estimate}
            row |= {f"tau_{score}_low": found.low, f"tau_{score}_high": found.high}
        if "configurations" in row:
            rows.append(row)
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return frame.sort_values("share", kind="stable", ignore_index=True)


_COLUMNS = [
    *("arm", "share", "configurations", "seeds"),
    *(f"tau_{score}{end}" for score in SCORES for end in ("", "_low", "_high")),
    "resampled",
]


def example_share(results: Results, arm: str) -> float:
    """Examples that an arm trained on over full training's, on the pairs that both ran."""
    if "examples_seen" not in results.epochs:
        return math.nan
    last = results.epochs.groupby("trial_id")["examples_seen"].last()
    trials = results.trials.assign(examples=results.trials["trial_id"].map(last).astype(float))
    cube = shared(panel(replace(results, trials=trials), "examples", [arm, "full"]).values)
    own, full = (float(np.nansum(layer)) for layer in cube) if cube.size else (0.0, 0.0)
    return own / full if full > 0 else math.nan


def _cube(results: Results, arm: str, score: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The arm's scores and full training's metric, larger is better: (2, C, S)."""
    sign = results.sign if score == "metric" else -1
    trials = results.trials
    if score == "metric":
        values = trials["val_final"]
    elif LOSSES[score] in results.epochs:
        reported = results.epochs.dropna(subset=[LOSSES[score]])
        last = reported.groupby("trial_id")[LOSSES[score]].last()
        values = trials["trial_id"].map(last).astype(float)
    else:
        return np.empty((2, 0, 0))
    failed = trials["outcome"].isin(WORST)
    scored = (sign * values).where(~failed, -math.inf)
    view = replace(results, trials=trials.assign(view=scored))
    own = panel(view, "view", [arm, "full"], worst=-math.inf).values[:1]
    worst = -results.sign * math.inf
    full = panel(results, "val", [arm, "full"], worst=worst).values[1:] * results.sign
    return shared(np.concatenate([own, full]))
