"""Ladder and rivals replayed on what a sweep recorded: mean regret and cost over many draws.

Live searches are few and their luck is large. Where every configuration was trained fully and on
every rung, each search's decisions can be replayed on any draw of the configurations, with any
training seed's curves, for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.ladder.views import example_share
from analysis.results.load import Results
from analysis.statistics.cube import panel
from analysis.statistics.searches import (
    Found,
    asha,
    halving,
    hyperband,
    ladder,
    rank_sum,
    some_fully,
)

Array = npt.NDArray[np.float64]
BY = ("metric", "loss", "both")
DRAWS = 600
_SHARE = 0.8  # of the configurations, in a draw

COLUMNS = ("strategy", "by", "cost", "regret", "regret_se", "best_found", "draws")


@dataclass(frozen=True)
class Recorded:
    """What was recorded of C configurations that every rung and full training ran.

    Attributes:
        truth: Full training's test metric, signed and averaged over seeds, (C,).
        curves: By score, full training's values after each epoch, signed, (S, C, E).
        rungs: By the rungs' selector, its arms from the cheapest: share of full training's examples
            and, by score, signed values at the last epoch (S, C).
    """

    truth: Array
    curves: dict[str, Array]
    rungs: dict[str, list[tuple[float, dict[str, Array]]]]


def replayed_table(
    results: Results, *, draws: int = DRAWS, share: float = _SHARE, seed: int = 0
) -> pd.DataFrame:
    """Mean regret and cost of ladder and rivals over draws of configurations and training seeds.

    Args:
        results: Of a sweep that trained all configurations fully and on the rungs (arms of one
            selector at several fractions).
        draws: Random draws of configurations, each in a random order and with a random seed's
            curves; the same draws for every strategy.
        share: Of the configurations in a draw.
        seed: Of the draws.

    Returns:
        ``strategy``, ``by`` (what ranks: ``metric``, ``loss`` or ``both``, the sum of ranks),
        ``cost`` (share of training all of the draw fully, seed trials left out), ``regret`` (mean
        loss of full training's test metric against the draw's best) and its standard error
        ``regret_se``, ``best_found`` (share of draws in which the best was chosen), ``draws``;
        empty without full training's curves of five configurations.
    """
    recorded = record(results)
    if recorded is None:
        return pd.DataFrame(columns=list(COLUMNS))
    rng = np.random.default_rng(seed)
    count = len(recorded.truth)
    size = max(round(share * count), 2)
    seeds = next(iter(recorded.curves.values())).shape[0]
    drawn = [(rng.permutation(count)[:size], int(rng.integers(seeds))) for _ in range(draws)]
    rows = []
    for name, by, search in _searches(recorded):
        found = [search(own, s) for own, s in drawn]
        truths = [recorded.truth[own] for own, _ in drawn]
        lost = np.array([t.max() - t[f.choice] for t, f in zip(truths, found, strict=True)])
        cost = float(np.mean([f.cost for f in found])) / size
        error = float(lost.std(ddof=1) / np.sqrt(draws)) if draws > 1 else np.nan
        rows.append([name, by, cost, float(lost.mean()), error, float((lost == 0).mean()), draws])
    return pd.DataFrame(rows, columns=list(COLUMNS))


Draw = npt.NDArray[np.int64]
Search = Callable[[Draw, int], Found]
"""From the configurations of a draw and a training seed's number to what is found."""


def _searches(recorded: Recorded) -> Iterator[tuple[str, str, Search]]:
    """Every strategy with what it ranks by."""
    scores = BY if len(recorded.curves) > 1 else tuple(recorded.curves)
    for by in scores:
        for selector in recorded.rungs:
            yield f"ladder of {selector}", by, partial(_climb, recorded, by, selector)
        for eta in (3.0, 4.0):
            yield (
                f"ASHA, eta {eta:g}",
                by,
                partial(_on_curves, recorded, by, partial(asha, eta=eta)),
            )
            halve = partial(halving, eta=eta)
            yield f"successive halving, eta {eta:g}", by, partial(_on_curves, recorded, by, halve)
        yield "HyperBand", by, partial(_on_curves, recorded, by, hyperband)
    for part in (0.2, 0.3):
        name = f"random search, {100 * part:g}% trained"
        yield name, scores[0], partial(_at_random, recorded, scores[0], part)


def _curves_of(recorded: Recorded, by: str, own: Draw, seed: int) -> Array:
    """Full training's curves (n, E) of a draw, by one score or the sum of ranks at each epoch."""
    parts = [v[seed][own] for key, v in recorded.curves.items() if by in (key, "both")]
    return parts[0] if len(parts) == 1 else rank_sum(*(part.T for part in parts)).T


def _on_curves(
    recorded: Recorded, by: str, search: Callable[[Array], Found], own: Draw, seed: int
) -> Found:
    return search(_curves_of(recorded, by, own, seed))


def _at_random(recorded: Recorded, by: str, part: float, own: Draw, seed: int) -> Found:
    full = _curves_of(recorded, by, own, seed)[:, -1]
    return some_fully(full, count=max(round(part * len(own)), 1))


def _climb(recorded: Recorded, by: str, selector: str, own: Draw, seed: int) -> Found:
    rungs, shares = [], []
    for share, values in recorded.rungs[selector]:
        parts = [v[seed][own] for key, v in values.items() if by in (key, "both")]
        rungs.append(parts[0] if len(parts) == 1 else rank_sum(*parts))
        shares.append(share)
    return ladder(rungs, shares, _curves_of(recorded, by, own, seed)[:, -1])


def record(results: Results, least: int = 5) -> Recorded | None:
    """The arrays above, of the configurations that full training ran with every seed.

    Args:
        results: Of one sweep.
        least: Configurations without which nothing is replayed.
    """
    full = results.search[results.search["arm"] == "full"]
    complete = full.groupby("configuration")["seed"].nunique()
    kept = sorted(int(c) for c in complete.index[complete == full["seed"].nunique()])
    if len(kept) < least:
        return None
    truth = full.groupby("configuration")["test"].mean().reindex(kept).to_numpy(dtype=float)
    known = np.isfinite(truth)
    seeds = sorted(full["seed"].unique())
    names = {"metric": ("val", results.sign), "loss": ("val_loss", -1)}
    curves = {
        key: sign * _curves(results, kept, seeds, column)
        for key, (column, sign) in names.items()
        if column in results.epochs and results.epochs[column].notna().any()
    }
    curves = {key: np.nan_to_num(values[:, known], nan=-np.inf) for key, values in curves.items()}
    chosen = [c for c, usable in zip(kept, known, strict=True) if usable]
    if len(chosen) < least or not curves:
        return None
    rungs = _rungs(results, chosen, seeds, {k: names[k] for k in curves})
    return Recorded(results.sign * truth[known], curves, rungs)


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
    return np.asarray(
        wide.reindex(order).to_numpy(dtype=float).reshape(len(seeds), len(kept), last)
    )


def _rungs(
    results: Results,
    kept: Sequence[int],
    seeds: Sequence[int],
    names: dict[str, tuple[str, int]],
) -> dict[str, list[tuple[float, dict[str, Array]]]]:
    """Arms of one selector at two shares or more that ran every configuration and seed."""
    found: dict[str, list[tuple[float, dict[str, Array]]]] = {}
    last = results.epochs.sort_values("epoch").groupby("trial_id")
    for arm in results.arms():
        own = results.search[results.search["arm"] == arm]
        cells = own.groupby(["configuration", "seed"]).size()
        if arm in ("full", "seed") or any((c, s) not in cells for c in kept for s in seeds):
            continue
        values = {}
        for key, (column, sign) in names.items():
            trials = results.trials.assign(
                score=results.trials["trial_id"].map(last[column].last())
            )
            table = panel(replace(results, trials=trials), "score", [arm])
            if not set(kept) <= set(table.configurations):  # one of them did not end
                break
            rows = [table.configurations.index(c) for c in kept]
            cube = table[arm][rows].T  # (S, C)
            values[key] = np.nan_to_num(sign * cube, nan=-np.inf)
        if len(values) < len(names):
            continue
        selector = str(own["selector"].iloc[0])
        found.setdefault(selector, []).append((example_share(results, arm), values))
    rising = {k: sorted(v, key=lambda rung: rung[0]) for k, v in found.items() if len(v) > 1}
    return {k: v for k, v in rising.items() if all(np.isfinite(share) for share, _ in v)}
