"""Pairwise one-tailed Wilcoxon signed-rank tests (Killamsetty et al., Table 6)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

PAIRED_ON = ["dataset", "model", "fraction", "sweep", "configuration", "seed"]


def wilcoxon_table(frame: pd.DataFrame, *, larger_is_better: bool = True) -> pd.DataFrame:
    """For every ordered pair of strategies, whether the first is better than the second.

    Differences of the test metric are paired on dataset, model, fraction, sweep, configuration and
    seed; the null hypothesis is that they are symmetric about zero. Zero differences are dropped
    (Wilcoxon's own treatment). Exact for up to 50 differences without ties, by normal approximation
    otherwise (SciPy's rule).

    Args:
        frame: The result of :func:`strategy_frame`; full training takes no part.
        larger_is_better: Whether the test metric is better where it is larger.

    Returns:
        ``better``, ``worse`` (arms), ``pairs`` (non-zero differences), ``median_difference``,
        ``p`` (NaN without a non-zero difference) and ``p_holm``, adjusted over all rows after Holm
        (1979), since so many tests find something by chance alone.
    """
    usable = frame[frame["arm"] != "full"].dropna(subset=["test"])
    wide = usable.pivot_table(index=PAIRED_ON, columns="arm", values="test", sort=False)
    sign = 1.0 if larger_is_better else -1.0
    rows: list[dict[str, Any]] = []
    for better in wide.columns:
        for worse in wide.columns:
            if better == worse:
                continue
            difference = sign * (wide[better] - wide[worse]).dropna().to_numpy()
            moved = difference[difference != 0]
            p = math.nan
            if moved.size:
                p = float(stats.wilcoxon(moved, alternative="greater").pvalue)
            rows.append(
                {
                    "better": better,
                    "worse": worse,
                    "pairs": int(moved.size),
                    "median_difference": float(np.median(difference))
                    if difference.size
                    else math.nan,
                    "p": p,
                }
            )
    columns = ["better", "worse", "pairs", "median_difference", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=holm(table["p"].to_numpy(dtype=float)))


def holm(p: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Holm's step-down adjustment of p-values (m,); NaN stays NaN and is not counted."""
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    # The smallest p of m is compared with all m, the next with m - 1, and so on; none may be called
    # surer than a smaller one was, hence the running maximum.
    steps = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * steps), 1.0)
    return adjusted
