"""How well an arm's sweep chose: its ranking of configurations against full training's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.results.load import Results
from analysis.statistics.bootstrap import Interval, paired_bootstrap
from analysis.statistics.cube import panel, shared
from analysis.statistics.ranking import recall_of, tau_of
from analysis.statistics.regret import numbered, promoted_regret_of, regret_of

Array = npt.NDArray[np.float64]


def choice_cube(results: Results, arm: str) -> Array:
    """Scores of ``arm`` and of full training, and full training's test metric: (3, C, S).

    Signed so that larger is better; -inf for diverged and failed trials' scores. Only
    configurations and seeds that both arms ran.
    """
    sign = results.sign
    scores = panel(results, "val", [arm, "full"], worst=-sign * math.inf).values
    outcome = panel(results, "test", [arm, "full"]).values[1:]
    return shared(np.concatenate([scores, outcome]) * sign, of=2)


def choice_errors(results: Results, arm: str) -> Array:
    """Standard errors of ``choice_cube``, (3, C, S): of scores on a part of the validation split.

    The last epoch's look sees the whole split, so only trials that a scheduler stopped have any.
    """
    scores = panel(results, "val", [arm, "full"], worst=-results.sign * math.inf).values
    errors = np.nan_to_num(panel(results, "val_error", [arm, "full"]).values)
    found = shared(np.concatenate([scores, errors]), of=2)[2:]
    return np.concatenate([found, np.zeros_like(found[:1])])


def choice_points(results: Results, arms: Sequence[str] | None = None) -> pd.DataFrame:
    """Each configuration's seed-averaged validation score in an arm and in full training.

    Returns:
        ``arm``, ``configuration``, ``score``, ``full_score`` (the metric as it is, over the seeds
        that both have; NaN where there is none), ``seeds``; empty without full training.
    """
    if arms is None:
        arms = [arm for arm in results.arms() if arm not in ("full", "seed")]
    frames = []
    for arm in arms if "full" in results.arms() else []:
        both = panel(results, "val", [arm, "full"])
        present = np.asarray(~np.isnan(both.values).any(axis=0))
        seeds = present.sum(axis=1)
        total = np.where(present, both.values, 0.0).sum(axis=2)
        means = total / np.where(seeds > 0, seeds, np.nan)
        columns = {"configuration": both.configurations, "score": means[0], "full_score": means[1]}
        frames.append(pd.DataFrame({"arm": arm, **columns, "seeds": seeds}))
    names = ["arm", "configuration", "score", "full_score", "seeds"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def choice_table(
    results: Results,
    arms: Sequence[str] | None = None,
    *,
    k: int = 3,
    level: float = 0.95,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Kendall's tau, top-k recall and regret of each arm against full training.

    Configurations are ranked by their best validation metric, averaged over training seeds; regret
    is in full training's test metric, ``regret`` of the arm's one choice and ``promoted_regret`` of
    its best ``k``, trained fully. Intervals as in :mod:`analysis.statistics.bootstrap`.

    Args:
        results: The results of the sweep.
        arms: Arms to judge against full training.
        k: The k of the top-k recall.
        level: Nominal coverage of the intervals, in (0, 1).
        resamples: Bootstrap draws.

    Returns:
        ``arm``, ``configurations``, ``seeds``, and for each of ``tau``, ``recall``, ``regret`` and
        ``promoted_regret`` the estimate, ``_low`` and ``_high``; ``resampled`` in words. Empty
        without full training.
    """
    if arms is None:
        arms = [arm for arm in results.arms() if arm not in ("full", "seed")]
    if "full" not in results.arms():
        arms = []
    rows: list[dict[str, Any]] = []
    for arm in arms:
        cube = choice_cube(results, arm)
        if cube.size == 0:
            continue
        row: dict[str, Any] = {"arm": arm, "configurations": cube.shape[1], "seeds": cube.shape[2]}
        options: dict[str, Any] = {"level": level, "resamples": resamples}
        errors = choice_errors(results, arm)
        found: dict[str, Interval] = {
            "tau": paired_bootstrap(tau_of, cube, bounds=(-1.0, 1.0), errors=errors, **options),
            "recall": paired_bootstrap(
                lambda c: recall_of(c, k), cube, bounds=(0.0, 1.0), errors=errors, **options
            ),
            "regret": paired_bootstrap(regret_of, cube, errors=errors, **options),
            "promoted_regret": paired_bootstrap(
                lambda c: promoted_regret_of(c, k),
                numbered(cube),
                errors=np.concatenate([errors, np.zeros_like(errors[:1])]),
                **options,
            ),
        }
        for name, interval in found.items():
            row |= {name: interval.estimate}
            row |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append(row | {"resampled": found["tau"].resampled})
    return pd.DataFrame(rows, columns=_CHOICE_COLUMNS)


_CHOICE_COLUMNS = [
    "arm",
    "configurations",
    "seeds",
    *(
        f"{name}{end}"
        for name in ("tau", "recall", "regret", "promoted_regret")
        for end in ("", "_low", "_high")
    ),
    "resampled",
]
