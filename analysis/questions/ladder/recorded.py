"""What a sweep recorded of configurations that full training and every rung ran: for replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analysis.questions.headline import WAITED, replays, seed_trials
from analysis.questions.ladder.views import LOSSES, example_share
from analysis.results.load import Results
from analysis.results.settings import PREFIX
from analysis.statistics.cube import panel
from analysis.statistics.parzen import encoded

Array = npt.NDArray[np.float64]

UNITS = {"examples": "examples_seen", "seconds": WAITED}
"""By unit of cost, the column of the epochs that counts it up."""

LEAST = 5
"""Configurations without which nothing is replayed."""


@dataclass(frozen=True)
class Rung:
    """What trained every configuration for less than full training: one arm.

    Attributes:
        arm: Its name.
        selector: What it trains on; ``full`` for all the data, for fewer epochs.
        title: The title in names of ladders: ``10%``, ``4 epochs``.
        share: The share of full training's examples.
        scores: Signed values by score, at the last epoch, (S, C).
        prices: What each training cost, by unit, (S, C).
        seeds: What each seed trial that it replays cost, by trial and unit; empty where
            none.
    """

    arm: str
    selector: str
    title: str
    share: float
    scores: Mapping[str, Array]
    prices: Mapping[str, Array]
    seeds: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Recorded:
    """What was recorded of C configurations with S training seeds.

    Attributes:
        truth: Full training's test metric, signed and averaged over seeds, (C,).
        points: The configurations in [0, 1] by axis, (C, D).
        curves: Full training's values after each epoch by score, signed, (S, C, E).
        spent: What full training had cost by the end of each epoch, by unit, (S, C, E).
        evaluated: The scores that full training reported after every epoch, so that a scheduler
            could have stopped it by them.
        rungs: The rungs by arm, the cheapest first.
    """

    truth: Array
    points: Array
    curves: Mapping[str, Array]
    spent: Mapping[str, Array]
    evaluated: frozenset[str]
    rungs: Mapping[str, Rung]


def record(results: Results, least: int = LEAST) -> Recorded | None:
    """The arrays above, of the configurations that full training ran with every seed.

    Args:
        results: The results of one sweep.
        least: Configurations without which nothing is replayed.
    """
    full = results.search[results.search["arm"] == "full"]
    complete = full.groupby("configuration")["seed"].nunique()
    kept = sorted(int(c) for c in complete.index[complete == full["seed"].nunique()])
    truth = full.groupby("configuration")["test"].mean().reindex(kept).to_numpy(dtype=float)
    known = np.isfinite(truth)
    kept = [c for c, usable in zip(kept, known, strict=True) if usable]
    columns = {k: c for k, c in _score_columns(results).items() if _is_reported(results, c[0])}
    if len(kept) < least or not columns:
        return None
    seeds = [int(seed) for seed in sorted(full["seed"].unique())]
    raw = {key: _curves(results, kept, seeds, column) for key, (column, _) in columns.items()}
    curves = {key: columns[key][1] * values for key, values in raw.items()}
    spent = {
        unit: np.nan_to_num(_curves(results, kept, seeds, column))
        for unit, column in UNITS.items()
        if _is_reported(results, column)
    }
    return Recorded(
        truth=results.sign * truth[known],
        points=_points(results, kept),
        curves={key: np.nan_to_num(values, nan=-np.inf) for key, values in curves.items()},
        # A clock that stood still, or counted nothing, gives no shares.
        spent={
            unit: values for unit, values in spent.items() if (values[..., -1] > 0).any(1).all()
        },
        evaluated=frozenset(key for key, values in raw.items() if _is_evaluated(values)),
        rungs=_rungs(results, kept, seeds, columns, list(spent)),
    )


def _score_columns(results: Results) -> dict[str, tuple[str, int]]:
    """By what may rank, the column of the epochs and +1 where more is better."""
    return {"metric": ("val", results.sign)} | {key: (name, -1) for key, name in LOSSES.items()}


def _is_reported(results: Results, column: str) -> bool:
    return column in results.epochs and bool(results.epochs[column].notna().any())


def _is_evaluated(values: Array) -> bool:
    """Whether (S, C, E) holds a number after the first epoch wherever it does after the last."""
    ended = np.isfinite(values[..., -1])
    return bool(ended.any() and np.isfinite(values[..., 0][ended]).all())


def _points(results: Results, kept: Sequence[int]) -> Array:
    first = results.search.drop_duplicates("configuration").set_index("configuration").loc[kept]
    return encoded({axis: first[PREFIX + axis].tolist() for axis in results.axes})


def _curves(results: Results, kept: Sequence[int], seeds: Sequence[int], column: str) -> Array:
    """Full training's values (S, C, E); epochs that were not evaluated keep the last value."""
    full = results.search[results.search["arm"] == "full"].drop_duplicates(
        ["configuration", "seed"]
    )
    epochs = results.epochs[results.epochs["trial_id"].isin(full["trial_id"])]
    last = int(epochs["epoch"].max())
    wide = epochs.pivot(index="trial_id", columns="epoch", values=column)
    wide = wide.reindex(columns=range(1, last + 1)).ffill(axis=1)
    by_cell = full.set_index(["seed", "configuration"])["trial_id"]
    order = [by_cell[(s, c)] for s in seeds for c in kept]
    values = wide.reindex(order).to_numpy(dtype=float)
    return np.asarray(values.reshape(len(seeds), len(kept), last))


def _rungs(
    results: Results,
    kept: Sequence[int],
    seeds: Sequence[int],
    columns: Mapping[str, tuple[str, int]],
    units: Sequence[str],
) -> dict[str, Rung]:
    """Arms that trained every configuration with every seed on less than full training does.

    Args:
        results: The results of the sweep.
        kept: Configurations.
        seeds: Training seeds.
        columns: The column of the epochs and the sign of each score.
        units: The units of cost that were counted.
    """
    found = []
    for arm in results.arms():
        own = results.search[results.search["arm"] == arm]
        cells = own.groupby(["configuration", "seed"]).size()
        share = example_share(results, arm)
        lacks = any((c, s) not in cells for c in kept for s in seeds)
        if arm in ("full", "seed") or lacks or not share < 1:
            continue
        last = {key: _last(results, arm, column, kept) for key, (column, _) in columns.items()}
        scores = {
            key: np.nan_to_num(columns[key][1] * values, nan=-np.inf)
            for key, values in last.items()
            if values is not None
        }
        if len(scores) < len(columns):  # one of them did not end
            continue
        prices = {unit: _last(results, arm, UNITS[unit], kept, failed=True) for unit in units}
        selector = str(own["selector"].iloc[0])
        found.append(
            Rung(
                arm=arm,
                selector=selector,
                title=_title(selector, share, int(own["epochs"].max())),
                share=share,
                scores=scores,
                prices={u: np.nan_to_num(p) for u, p in prices.items() if p is not None},
                seeds=_seed_prices(results, arm, units),
            )
        )
    found.sort(key=lambda rung: rung.share)
    return {rung.arm: rung for rung in found}


def _title(selector: str, share: float, epochs: int) -> str:
    if selector == "full":
        return f"{epochs} epoch{'s' * (epochs > 1)}"
    return f"{100 * share:.3g}%"


def _last(
    results: Results, arm: str, column: str, kept: Sequence[int], *, failed: bool = False
) -> Array | None:
    """An arm's last values of a column of the epochs, (S, C); ``None`` where a trial did not end.

    Args:
        results: The results of the sweep.
        arm: Its name.
        column: The column of the epochs.
        kept: Configurations.
        failed: Whether what trials reported that failed counts too.
    """
    last = results.epochs.dropna(subset=[column]).groupby("trial_id")[column].last()
    trials = results.trials.assign(last=results.trials["trial_id"].map(last).astype(float))
    if failed:
        trials = trials.assign(outcome="finished")
    table = panel(replace(results, trials=trials), "last", [arm])
    if not set(kept) <= set(table.configurations):
        return None
    rows = [table.configurations.index(c) for c in kept]
    return np.asarray(table[arm][rows].T)


def _seed_prices(results: Results, arm: str, units: Sequence[str]) -> dict[str, dict[str, float]]:
    """By seed trial that an arm replays, and by unit, what it cost."""
    if not replays(results, arm):
        return {}
    own = results.epochs[results.epochs["trial_id"].isin(seed_trials(results, arm)["trial_id"])]
    spent = own.groupby("trial_id")[[UNITS[unit] for unit in units]].max()
    return {
        str(trial): {unit: float(row[UNITS[unit]]) for unit in units}
        for trial, row in spent.iterrows()
    }
