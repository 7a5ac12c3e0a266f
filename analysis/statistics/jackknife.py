"""What single configurations do to a mean over random draws of them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from analysis.statistics.bootstrap import MIN_CONFIGURATIONS

Array = npt.NDArray[np.float64]

_LEFT_OUT = 2  # draws without a configuration, below which nothing is said of its influence
_KEPT = 0.25  # of the pseudo-values' variance at the least, however few draws explain it


def pseudo_values(values: Array, members: npt.NDArray[np.bool_]) -> Array | None:
    """The jackknife's pseudo-values (C, S) of the mean over draws; ``None`` of too few draws.

    What the luck of a sample of configurations does is seen by leaving one out: the pseudo-value of
    c is ``mean + (C - 1) (mean - mean over the draws without c)`` (Efron & Stein, 1981; for means
    over subsamples it is the infinitesimal jackknife of Wager, Hastie & Efron, 2014). Their mean is
    the mean over draws, and the spread of their mean over configurations is that of the mean over
    samples of C. The part of their spread that comes of few draws is taken off.

    Args:
        values: The values of each replay, (D, S).
        members: Which configurations each draw holds, (D, C).
    """
    left_out = (~members).astype(float)
    count = left_out.sum(axis=0)[:, None]
    size = members.shape[1]
    if size < MIN_CONFIGURATIONS or count.min() < _LEFT_OUT:
        return None
    by_seed = values.mean(axis=0, keepdims=True)
    common = values.mean(axis=1, keepdims=True)

    def influence(part: Array) -> Array:
        """(C, 1 or S): pseudo-values about their mean, shrunk by what few draws add."""
        without = left_out.T @ part / count
        found = (size - 1) * (without.mean(axis=0) - without)
        squares = left_out.T @ part**2 / count - without**2
        noise = (size - 1) ** 2 * (squares / (count - 1)).mean()
        spread = (found**2).mean()
        kept = max(_KEPT, 1 - noise / spread) if spread > 0 else 1.0
        return np.asarray(found * math.sqrt(kept))

    return np.asarray(by_seed + influence(common) + influence(values - common))
