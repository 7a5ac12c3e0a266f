"""Arms side by side on the same configurations and training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.results.load import Results
from analysis.results.outcomes import UNFINISHED, USABLE, WORST

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One quantity of A arms over C configurations and S training seeds.

    Attributes:
        arms: Names, A of them.
        configurations: Numbers, C of them.
        seeds: S of them.
        values: float64 (A, C, S); NaN where there is no usable trial.
    """

    arms: tuple[str, ...]
    configurations: tuple[int, ...]
    seeds: tuple[int, ...]
    values: Array

    def __getitem__(self, arm: str) -> Array:
        """The values (C, S) of one arm."""
        return np.asarray(self.values[self.arms.index(arm)])


def panel(
    results: Results, column: str, arms: Sequence[str], *, worst: float | None = None
) -> Panel:
    """Collect a column of the search's trials.

    Args:
        results: The results of one sweep.
        column: The column of ``results.trials``.
        arms: Which arms; one that did not run gives an arm of NaN.
        worst: Value of diverged and failed trials; ``None`` leaves them NaN.

    Returns:
        The configurations and seeds that any of the arms ran. A repeated trial of the same arm,
        configuration and seed (repeats of a grid) enters as the mean of its repeats.
    """
    trials = results.search
    trials = trials[trials["arm"].isin(list(arms)) & (trials["outcome"] != UNFINISHED)]
    values = trials[column].astype(float).where(trials["outcome"].isin(USABLE))
    if worst is not None:
        values = values.where(~trials["outcome"].isin(WORST), worst)
    keyed = values.groupby([trials["arm"], trials["configuration"], trials["seed"]]).mean()
    configurations = sorted(trials["configuration"].unique())
    seeds = sorted(trials["seed"].unique())
    index = pd.MultiIndex.from_product([list(arms), configurations, seeds])
    cube = keyed.reindex(index).to_numpy(dtype=float)
    return Panel(
        tuple(arms),
        tuple(int(c) for c in configurations),
        tuple(int(s) for s in seeds),
        cube.reshape(len(arms), len(configurations), len(seeds)),
    )


def shared(cube: Array, of: int | None = None) -> Array:
    """Only cells that every arm has: values (A, C', S'), NaN in all arms where one arm lacks it.

    Configurations and seeds without a single shared cell are left out.

    Args:
        cube: Float64 (A, C, S).
        of: How many of the leading arms must have the cell; ``None`` for all.
    """
    complete = np.asarray(~np.isnan(cube[:of]).any(axis=0))
    masked = np.where(complete, cube, np.nan)
    rows, columns = complete.any(axis=1), complete.any(axis=0)
    return np.asarray(masked[:, rows][:, :, columns])
