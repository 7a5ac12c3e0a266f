"""How well an arm's sweep chose: its ranking of configurations against full training's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.bootstrap import Interval, paired_bootstrap
from analysis.load import Results
from analysis.panels import panel, shared

Array = npt.NDArray[np.float64]


def kendall_tau(x: Array, y: Array) -> Array:
    """Kendall's tau-b of score vectors (..., n) -> (...); NaN where one of them is constant.

    Ties in both (two diverged trials, or one configuration drawn twice) count for neither side.
    Infinite scores are ordinary: diverged trials tie as the worst. NaN pairs are left out.
    """
    missing = np.isnan(x) | np.isnan(y)
    a, b = _signs(np.where(missing, np.nan, x)), _signs(np.where(missing, np.nan, y))
    untied = np.sqrt(np.abs(a).sum(axis=(-2, -1)) * np.abs(b).sum(axis=(-2, -1)))
    return np.asarray((a * b).sum(axis=(-2, -1)) / np.where(untied > 0, untied, np.nan))


def _signs(scores: Array) -> Array:
    with np.errstate(invalid="ignore"):  # inf - inf: a tie
        difference = scores[..., :, None] - scores[..., None, :]
    return np.nan_to_num(np.sign(difference))


def top_k_recall(scores: Array, reference: Array, k: int) -> Array:
    """Share of the reference's best k that are among the scores' best k, (..., n) -> (...).

    Larger is better. Entries tied at the edge share the places that are left, and an entry counts
    by the smaller of its two shares: constant scores recall k / n, and a configuration that a
    bootstrap drew twice agrees with itself. NaN entries are left out, and k is cut to the number
    of the others.

    Raises:
        ValueError: ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    missing = np.isnan(scores) | np.isnan(reference)
    count = (~missing).sum(axis=-1)
    size = np.minimum(k, count)
    x, y = np.where(missing, np.nan, scores), np.where(missing, np.nan, reference)
    hits = np.minimum(places(x, size), places(y, size)).sum(axis=-1)
    return np.asarray(hits / np.where(size > 0, size, np.nan))


def places(scores: Array, size: npt.NDArray[np.int64]) -> Array:
    """Each entry's share of a place among the best ``size`` of (..., n); ties share, NaN has none.

    Args:
        scores: Larger is better.
        size: Number of places, (...).
    """
    known = np.where(np.isnan(scores), -np.inf, scores)
    descending = -np.sort(-known, axis=-1)
    edge = np.take_along_axis(descending, np.maximum(size, 1)[..., None] - 1, axis=-1)
    above, tied = scores > edge, scores == edge
    left = size[..., None] - above.sum(axis=-1, keepdims=True)
    share = left / np.maximum(tied.sum(axis=-1, keepdims=True), 1)
    return np.where(size[..., None] > 0, above + tied * share, 0.0)


def regret(scores: Array, reference: Array, outcome: Array) -> Array:
    """What choosing by ``scores`` instead of ``reference`` costs in ``outcome``.

    Args:
        scores: The arm's (..., n), larger is better.
        reference: Full training's own (..., n), by which full training would choose.
        outcome: What is lost or won (..., n), larger is better.

    Returns:
        Mean outcome of the reference's best minus mean outcome of the scores' best (means over
        ties), (...); negative when the arm chose better on ``outcome``. NaN when a choice has no
        outcome, because full training diverged there.
    """
    missing = np.isnan(scores) | np.isnan(reference)
    return _chosen(reference, missing, outcome) - _chosen(scores, missing, outcome)


def _chosen(scores: Array, missing: npt.NDArray[np.bool_], outcome: Array) -> Array:
    known = np.where(missing, -np.inf, scores)
    top = known.max(axis=-1, keepdims=True)
    best = (known == top) & ~missing & np.isfinite(top)
    count = best.sum(axis=-1)
    total = np.where(best, outcome, 0.0).sum(axis=-1)
    return np.asarray(total / np.where(count > 0, count, np.nan))


def seed_mean(values: Array) -> Array:
    """Mean over seeds (..., C, S) -> (..., C) of what there is; -inf if any run was the worst."""
    counted = np.isfinite(values)
    count = counted.sum(axis=-1)
    total = np.where(counted, values, 0.0).sum(axis=-1)
    mean = total / np.where(count > 0, count, np.nan)
    return np.where(np.isneginf(values).any(axis=-1), -np.inf, mean)


def choice_cube(results: Results, arm: str) -> Array:
    """Scores of ``arm`` and of full training, and full training's test metric: (3, C, S).

    Signed so that larger is better; -inf for diverged and failed trials' scores. Only
    configurations and seeds that both arms ran.
    """
    sign = results.sign
    scores = panel(results, "val", [arm, "full"], worst=-sign * math.inf).values
    outcome = panel(results, "test", [arm, "full"]).values[1:]
    return shared(np.concatenate([scores, outcome]) * sign, of=2)


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


def tau_of(cube: Array) -> Array:
    """Kendall's tau of seed-averaged scores, of cubes (..., 2 or 3, C, S)."""
    return kendall_tau(seed_mean(cube[..., 0, :, :]), seed_mean(cube[..., 1, :, :]))


def regret_of(cube: Array) -> Array:
    """Regret of seed-averaged choices, of cubes (..., 3, C, S) from :func:`choice_cube`."""
    scores, reference, outcome = (seed_mean(cube[..., i, :, :]) for i in range(3))
    return regret(scores, reference, outcome)


def recall_of(cube: Array, k: int) -> Array:
    """Top-k recall of seed-averaged scores, of cubes (..., 2 or 3, C, S)."""
    return top_k_recall(seed_mean(cube[..., 0, :, :]), seed_mean(cube[..., 1, :, :]), k)


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
    is in full training's test metric. Intervals as in :mod:`analysis.bootstrap`.

    Returns:
        ``arm``, ``configurations``, ``seeds``, and for each of ``tau``, ``recall`` and ``regret``
        the estimate, ``_low`` and ``_high``; ``resampled`` in words. Empty without full training.
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
        found: dict[str, Interval] = {
            "tau": paired_bootstrap(tau_of, cube, bounds=(-1.0, 1.0), **options),
            "recall": paired_bootstrap(
                lambda c: recall_of(c, k), cube, bounds=(0.0, 1.0), **options
            ),
            "regret": paired_bootstrap(regret_of, cube, **options),
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
    *(f"{n}{end}" for n in ("tau", "recall", "regret") for end in ("", "_low", "_high")),
    "resampled",
]
