"""Small histories that the tests of history, store and scheduler share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tune_select.history import DatasetIdentity, HistoryIdentity, Interval

DATASET = DatasetIdentity(name="toy", size=1000, fingerprint="f00d")


def identity(**changes: Any) -> HistoryIdentity:
    values: dict[str, Any] = {
        "dataset": DATASET,
        "fraction": 0.05,
        "select_every": 4,
        "max_epochs": 10,
        "algorithm": "random",
        "seed_config": {"arm": "seed", "learning_rate": 0.1},
    }
    return HistoryIdentity(**{**values, **changes})


def interval(
    number: int, of: HistoryIdentity | None = None, *, seed: int = 0, **changes: Any
) -> Interval:
    of = of or identity()
    size = round(of.fraction * of.dataset.size)
    generator = np.random.default_rng([seed, number])
    indices = generator.permutation(of.dataset.size)[:size]
    start, end = of.bounds(number)
    weights = generator.random(size, dtype=np.float32)
    values: dict[str, Any] = {
        "number": number,
        "start": start,
        "end": end,
        "indices": indices,
        "weights": weights / weights.mean(),
        "select_s": 0.25,
        "gradient_error": 0.5,
        "rungs": {rung: _rung(number, rung, of, seed) for rung in of.rungs},
    }
    return Interval(**{**values, **changes})


def _rung(number: int, fraction: float, of: HistoryIdentity, seed: int) -> Interval:
    """The interval's subset at another fraction, drawn by itself."""
    alone = replace(of, fraction=fraction, rungs=())
    return interval(number, alone, seed=round(1000 * fraction) + seed)
