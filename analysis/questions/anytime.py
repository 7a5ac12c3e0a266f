"""How well a sweep chooses as a function of the seconds spent on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.headline import WAITED, replays, seed_seconds
from analysis.results.load import Results
from analysis.results.outcomes import UNFINISHED, WORST
from analysis.statistics.bootstrap import paired_bootstrap
from analysis.statistics.cube import panel, shared
from analysis.statistics.ranking import kendall_tau, recall_of, seed_mean, tau_of, top_k_recall

Array = npt.NDArray[np.float64]

COLUMNS = ["arm", "seed", "epoch", "seconds", "tau", "recall", "configurations"]

SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Of full training's seconds, at which anytime curves are given intervals."""


def anytime(results: Results, arms: Sequence[str] | None = None, *, k: int = 3) -> pd.DataFrame:
    """Kendall's tau and top-k recall against full training, after every epoch of an arm's sweep.

    The sweep is taken to advance all configurations together, an epoch at a time: after epoch e it
    has spent the sum of all their slot-seconds so far (to which replays add the seed
    trials' own), and ranks them by their best validation metric so far. A trial that has ended
    keeps its last score and spends nothing more; one that diverged ranks last from then on. The
    reference is full training's final ranking, averaged over training seeds; full training itself
    is compared with its other seeds, so that its curve ends at what repeated full training would
    agree on, and is left out when there is only one seed.

    Args:
        results: The results of the sweep.
        arms: Arms to judge beside full training.
        k: The k of the top-k recall.

    Returns:
        A row per arm, training seed and epoch: ``seconds``, ``tau``, ``recall`` and the number of
        ``configurations``; empty without full training or with fewer than two configurations.
    """
    if "full" not in results.arms():
        return pd.DataFrame(columns=COLUMNS)
    if arms is None:
        arms = [arm for arm in results.arms() if arm != "seed"]
    reference = panel(results, "val", ["full"], worst=-results.sign * math.inf)
    finals = reference["full"] * results.sign  # (C, S)
    rows: list[dict[str, Any]] = []
    for arm in arms:
        overhead_s = seed_seconds(results, arm) if replays(results, arm) else 0.0
        for number, seed in enumerate(reference.seeds):
            others = np.delete(finals, number, axis=1) if arm == "full" else finals
            if not others.shape[1]:
                continue
            final = dict(zip(reference.configurations, seed_mean(others), strict=True))
            rows += _curve(results, arm, seed, final, overhead_s, k)
    return pd.DataFrame(rows, columns=COLUMNS)


def _curve(
    results: Results,
    arm: str,
    seed: int,
    final: dict[int, float],
    overhead_s: float,
    k: int,
) -> list[dict[str, Any]]:
    """One arm's and one seed's curve."""
    trials = _ended(results, arm, seed)
    trials = trials[trials["configuration"].map(lambda c: not math.isnan(final.get(c, math.nan)))]
    if len(trials) < 2:
        return []
    scores, seconds = _progress(results, trials)
    reference = np.array([final[c] for c in trials["configuration"]])
    target = np.broadcast_to(reference, scores.shape)
    tau, recall = kendall_tau(scores, target), top_k_recall(scores, target, k)
    return [
        {
            "arm": arm,
            "seed": seed,
            "epoch": epoch + 1,
            "seconds": overhead_s + spent,
            "tau": tau[epoch],
            "recall": recall[epoch],
            "configurations": len(trials),
        }
        for epoch, spent in enumerate(seconds)
    ]


def _ended(results: Results, arm: str, seed: int) -> pd.DataFrame:
    """The arm's trials of one training seed, each configuration once."""
    trials = results.search
    trials = trials[(trials["arm"] == arm) & (trials["seed"] == seed)]
    return trials[trials["outcome"] != UNFINISHED].drop_duplicates("configuration")


def anytime_table(
    results: Results,
    arms: Sequence[str] | None = None,
    *,
    shares: Sequence[float] = SHARES,
    k: int = 3,
    level: float = 0.95,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Kendall's tau and top-k recall after shares of full training's seconds, with intervals.

    As in :func:`anytime`, but of scores averaged over training seeds: each seed's sweep is taken as
    far as the seconds carry it. Paired bootstrap as in :mod:`analysis.statistics.bootstrap`.

    Args:
        results: The results of one sweep.
        arms: All subset arms by default.
        shares: The shares of the slot-seconds of one training seed's full sweep.
        k: The k of the top-k recall.
        level: Nominal coverage.
        resamples: The resamples of the bootstrap.

    Returns:
        ``arm``, ``share``, ``seconds``, ``tau``, ``recall``, each with ``_low`` and ``_high``, and
        ``note`` (``not started`` while a replay's seed still runs, or before the first epoch of
        every configuration). Empty without full training.
    """
    if arms is None:
        arms = [arm for arm in results.arms() if arm not in ("full", "seed")]
    full = results.search[results.search["arm"] == "full"]
    paid = results.paid(full).groupby("seed")[WAITED].sum()
    full_s = float(paid.mean()) if len(paid) else math.nan
    rows: list[dict[str, Any]] = []
    for arm in arms if full_s > 0 else []:
        overhead_s = seed_seconds(results, arm) if replays(results, arm) else 0.0
        reference = panel(results, "val", [arm, "full"], worst=-results.sign * math.inf)
        final = reference["full"] * results.sign
        sweeps = [_sweep(results, arm, seed, reference.configurations) for seed in reference.seeds]
        for share in shares:
            left_s = share * full_s - overhead_s
            scores = np.stack([_at(*sweep, left_s) for sweep in sweeps], axis=1)
            row: dict[str, Any] = {"arm": arm, "share": share, "seconds": share * full_s}
            rows.append(row | _intervals(np.stack([scores, final]), k, level, resamples))
    return pd.DataFrame(rows, columns=_TABLE_COLUMNS)


_TABLE_COLUMNS = [
    *("arm", "share", "seconds"),
    *(f"{name}{end}" for name in ("tau", "recall") for end in ("", "_low", "_high")),
    "note",
]


def _intervals(cube: Array, k: int, level: float, resamples: int) -> dict[str, Any]:
    """The two statistics of scores and full training's final scores (2, C, S)."""
    cube = shared(cube)
    if cube.shape[1] < 2:
        return {"note": "not started"}
    options: dict[str, Any] = {"level": level, "resamples": resamples}
    tau = paired_bootstrap(tau_of, cube, bounds=(-1.0, 1.0), **options)
    recall = paired_bootstrap(lambda c: recall_of(c, k), cube, bounds=(0.0, 1.0), **options)
    found = {"tau": tau.estimate, "tau_low": tau.low, "tau_high": tau.high}
    found |= {"recall": recall.estimate, "recall_low": recall.low, "recall_high": recall.high}
    return {**found, "note": "" if math.isfinite(tau.estimate) else "no ranking: all scores tie"}


def _sweep(
    results: Results, arm: str, seed: int, configurations: Sequence[int]
) -> tuple[Array, Array]:
    """One seed's scores (E, C), NaN for configurations that did not run, and seconds (E,)."""
    trials = _ended(results, arm, seed)
    scores, seconds = _progress(results, trials)
    frame = pd.DataFrame(scores, columns=trials["configuration"].tolist())
    return frame.reindex(columns=list(configurations)).to_numpy(dtype=float), seconds


def _at(scores: Array, seconds: Array, left_s: float) -> Array:
    """Scores (C,) after ``left_s`` seconds; NaN before the first epoch is through."""
    done = int(np.searchsorted(seconds, left_s * (1 + 1e-9), side="right"))
    return scores[done - 1] if done else np.full(scores.shape[1], np.nan)


def _progress(results: Results, trials: pd.DataFrame) -> tuple[Array, Array]:
    """Scores (E, C), larger is better, and the sweep's seconds (E,) after each epoch."""
    rows = results.epochs[results.epochs["trial_id"].isin(trials["trial_id"])]
    last = int(rows["epoch"].max()) if len(rows) else 0
    index = pd.RangeIndex(1, last + 1)
    order = trials["trial_id"].tolist()

    def wide(column: str) -> pd.DataFrame:
        table = rows.pivot(index="epoch", columns="trial_id", values=column)
        return table.reindex(index=index, columns=order)

    raw = wide("val") * results.sign
    best = raw.cummax().ffill().fillna(-np.inf).to_numpy(dtype=float)
    failed = trials["outcome"].isin(WORST).to_numpy()
    over = raw[::-1].notna().cummax()[::-1].to_numpy(dtype=bool)  # a score is still to come
    worst = ~over & failed[None, :]
    seconds = wide(WAITED).ffill().fillna(0.0).sum(axis=1).to_numpy(dtype=float)
    return np.where(worst, -np.inf, best), seconds
