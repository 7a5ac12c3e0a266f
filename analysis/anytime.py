"""How well a sweep chooses as a function of the seconds spent on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.headline import replays, seed_seconds
from analysis.load import Results
from analysis.outcomes import UNFINISHED, USABLE, WORST
from analysis.panels import panel
from analysis.ranking import kendall_tau, seed_mean, top_k_recall

Array = npt.NDArray[np.float64]

COLUMNS = ["arm", "seed", "epoch", "seconds", "tau", "recall", "configurations"]


def anytime(results: Results, arms: Sequence[str] | None = None, *, k: int = 3) -> pd.DataFrame:
    """Kendall's tau and top-k recall against full training, after every epoch of an arm's sweep.

    The sweep is taken to advance all configurations together, an epoch at a time: after epoch e it
    has spent the sum of all their train + select seconds so far (to which replays add the seed
    trials' own), and ranks them by their best validation metric so far. A trial that has ended
    keeps its last score and spends nothing more; one that diverged ranks last from then on. The
    reference is full training's final ranking, averaged over training seeds; full training itself
    is compared with its other seeds, so that its curve ends at what repeated full training would
    agree on, and is left out when there is only one seed.

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
    trials = results.search
    trials = trials[(trials["arm"] == arm) & (trials["seed"] == seed)]
    trials = trials[trials["outcome"] != UNFINISHED].drop_duplicates("configuration")
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
    seconds = wide("seconds").ffill().fillna(0.0).sum(axis=1).to_numpy(dtype=float)
    return np.where(worst, -np.inf, best), seconds


def seed_ceiling(results: Results) -> pd.DataFrame:
    """How well repeated full training agrees with itself: tau of each seed with the others' mean.

    No subset can be expected to rank better than this. One row per seed: ``seed``, ``tau``; empty
    with a single seed.
    """
    cube = panel(results, "val", ["full"], worst=-results.sign * math.inf)["full"] * results.sign
    rows = []
    for number in range(cube.shape[1] if cube.shape[1] > 1 else 0):
        others = seed_mean(np.delete(cube, number, axis=1))
        rows.append({"seed": number, "tau": float(kendall_tau(cube[:, number], others))})
    return pd.DataFrame(rows, columns=["seed", "tau"])


def full_noise(results: Results) -> tuple[float, int]:
    """Noise of repeated full training: pooled standard deviation of its test metric over seeds.

    Returns:
        The standard deviation within configurations and its degrees of freedom; NaN and 0 where no
        configuration was fully trained with two seeds.
    """
    full = results.search
    full = full[(full["arm"] == "full") & full["outcome"].isin(USABLE)]
    groups = full.groupby("configuration")["test"]
    degrees = int((groups.count() - 1).clip(lower=0).sum())
    if degrees < 1:
        return math.nan, 0
    squares = float(((full["test"] - groups.transform("mean")) ** 2).sum())
    return math.sqrt(squares / degrees), degrees
