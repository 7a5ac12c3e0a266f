"""Ladder and rivals replayed on what a sweep recorded: regret and cost over many draws.

Live searches are few and their luck is large. Where every configuration was trained fully and on
every rung, each search's decisions can be replayed on any draw of the configurations, with any
training seed's curves, for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.ladder.recorded import UNITS, Recorded, record
from analysis.results.load import Results
from analysis.statistics.bootstrap import Interval, paired_bootstrap
from analysis.statistics.parzen import parzen_next
from analysis.statistics.searches import (
    asha,
    halving,
    hyperband,
    ladder,
    rank_sum,
    some_fully,
)
from analysis.statistics.traces import Prices, Trace, along, incumbents

Array = npt.NDArray[np.float64]
DRAWS = 600
_SHARE = 0.8  # of the configurations, in a draw
_BATCHES = 40  # of draws, at the most
_TRIED = (0.1, 0.2, 0.3, 0.5, 1.0)  # by random search

LADDER, RIVAL = "ladder", "rival"

COLUMNS = (
    *("strategy", "kind", "by", "cost_examples", "cost_seconds"),
    *("regret", "regret_low", "regret_high", "best_found", "draws", "seeds"),
)


@dataclass(frozen=True)
class View:
    """What a search sees of a draw of n configurations with one training seed's curves.

    Attributes:
        full: Full training's scores after each epoch, (n, E).
        rungs: By selector, scores at the end of each rung's own training, (R, n).
        points: The configurations, (n, D).
    """

    full: Array
    rungs: Mapping[str, Array]
    points: Array


@dataclass(frozen=True)
class Strategy:
    """A way to search.

    Attributes:
        name: In tables.
        run: From what it sees to what it does.
        selector: Whose rungs it climbs; empty for rivals.
    """

    name: str
    run: Callable[[View], Trace]
    selector: str = ""

    @property
    def kind(self) -> str:
        """``ladder`` or ``rival``."""
        return LADDER if self.selector else RIVAL


@dataclass(frozen=True)
class Replay:
    """One strategy's replays on D draws with S training seeds each.

    Attributes:
        strategy: Its name.
        kind: ``ladder`` or ``rival``.
        by: What ranked: ``metric``, ``loss``, ``calibrated`` or ``both`` (ranks by the first two).
        regret: What its choice loses of full training's test metric, (D, S).
        cost: By unit, what it spent over what training all of the draw fully costs, (D, S).
        unit: What costs are compared in: ``seconds`` where they were measured, else ``examples``.
        path: Regret of the configuration that it held for best at each of ``PATH`` shares of the
            cost of training all, (G, D, S); NaN before there is one, and (0, D, S) for a strategy
            of which no path is kept.
    """

    strategy: str
    kind: str
    by: str
    regret: Array
    cost: Mapping[str, Array]
    unit: str
    path: Array

    def mean_cost(self, unit: str) -> float:
        """Over draws and seeds; NaN where the unit was not counted."""
        return float(self.cost[unit].mean()) if unit in self.cost else float("nan")


PATH = np.geomspace(0.01, 1.25, 60)
"""Shares of the cost of training all at which a search's path is looked at."""

DRAWN_RIVALS = ("ASHA, eta 3", "HyperBand", "TPE with ASHA, eta 3", "random search, 100% trained")
"""Rivals of which curves are drawn: as users run them, on all configurations."""


def replay_all(
    results: Results, *, draws: int = DRAWS, share: float = _SHARE, seed: int = 0
) -> list[Replay]:
    """Every strategy on the same draws of configurations, each with every training seed's curves.

    Args:
        results: Of a sweep that trained all configurations fully, and on the rungs (arms of one
            selector at several fractions, or full training at several numbers of epochs).
        draws: Random draws of configurations, each in a random order.
        share: Of the configurations in a draw.
        seed: Of the draws.

    Returns:
        Nothing without full training's curves of five configurations, or without rungs.
    """
    recorded = record(results)
    if recorded is None or not recorded.ladders:
        return []
    rng = np.random.default_rng(seed)
    count = len(recorded.truth)
    size = max(round(share * count), 2)
    drawn = [rng.permutation(count)[:size] for _ in range(draws)]
    seeds = next(iter(recorded.curves.values())).shape[0]
    entries = [(s, by) for by in _rankings(recorded) for s in strategies(recorded, by)]
    books = [_Book.empty(draws, seeds, recorded, _is_drawn(s, by)) for s, by in entries]
    for d, own in enumerate(drawn):
        truth = recorded.truth[own]
        lost = truth.max() - truth
        for s in range(seeds):
            views = {by: _view(recorded, by, own, s) for by in _rankings(recorded)}
            prices = _prices(recorded, own, s)
            for (strategy, by), book in zip(entries, books, strict=True):
                view = views[by]
                book.enter((d, s), strategy, view, strategy.run(view), lost, prices)
    return [
        Replay(strategy.name, strategy.kind, by, book.regret, book.cost, book.unit, book.path)
        for (strategy, by), book in zip(entries, books, strict=True)
    ]


def replayed_table(
    replays: list[Replay], *, level: float = 0.95, resamples: int = 1000
) -> pd.DataFrame:
    """Mean regret and cost of each strategy over draws and training seeds.

    The interval is the paired bootstrap's over draws and training seeds. It says how far the luck
    of order and training carries, for configurations such as these: draws share most of theirs, so
    another space's luck is not in it.

    Args:
        replays: Of :func:`replay_all`.
        level: Nominal coverage.
        resamples: Of the bootstrap.

    Returns:
        ``strategy``, ``kind``, ``by``; ``cost_examples`` and ``cost_seconds``, shares of training
        all of the draw fully, seed trials included (NaN where not counted); ``regret`` with
        ``regret_low`` and ``regret_high``, ``best_found`` (share of replays in which the best was
        chosen), ``draws`` and ``seeds``.
    """
    rows = []
    for r in replays:
        found = mean_interval(r.regret, level=level, resamples=resamples, least=0.0)
        costs = [r.mean_cost(unit) for unit in UNITS]
        limits = [found.estimate, found.low, found.high, float((r.regret == 0).mean())]
        rows.append([r.strategy, r.kind, r.by, *costs, *limits, *r.regret.shape])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def mean_interval(
    values: Array, *, level: float = 0.95, resamples: int = 1000, least: float = -math.inf
) -> Interval:
    """The mean over draws and training seeds with its paired bootstrap interval.

    Args:
        values: Of each replay, (D, S).
        level: Nominal coverage.
        resamples: Of the bootstrap.
        least: What no value is below.
    """

    def mean(cube: Array) -> Array:
        return np.asarray(cube[..., 0, :, :].mean(axis=(-2, -1)))

    # Batches of draws have the mean of the draws, whose spread is theirs, and are resampled fast.
    draws, seeds = values.shape
    batches = next((n for n in range(_BATCHES, 9, -1) if draws % n == 0), draws)
    cube = values.reshape(batches, -1, seeds).mean(axis=1)[None]
    bounds = (least, math.inf)
    return paired_bootstrap(mean, cube, level=level, resamples=resamples, bounds=bounds)


def _rankings(recorded: Recorded) -> tuple[str, ...]:
    """What may rank: each score, and the sum of ranks by metric and loss."""
    both = ("both",) if {"metric", "loss"} <= set(recorded.curves) else ()
    return (*recorded.curves, *both)


def _keys(by: str) -> tuple[str, ...]:
    return ("metric", "loss") if by == "both" else (by,)


def strategies(recorded: Recorded, by: str) -> Iterator[Strategy]:
    """Every way to search that can be replayed.

    Args:
        recorded: What there is to replay.
        by: What ranks. Searchers that learn, learn from the metric alone, and random search takes
            the best by it.
    """
    for selector in recorded.ladders:
        for keep in (3, 4):
            name = f"ladder of {selector}" + ("" if keep == 3 else f", keep {keep}")
            yield Strategy(name, partial(_climb, selector, keep), selector)
    if set(_keys(by)) <= recorded.evaluated:
        for eta in (3.0, 4.0):
            yield Strategy(f"ASHA, eta {eta:g}", partial(_on_curves, partial(asha, eta=eta)))
            name = f"successive halving, eta {eta:g}"
            yield Strategy(name, partial(_on_curves, partial(halving, eta=eta)))
        yield Strategy("HyperBand", partial(_on_curves, hyperband))
        if by == "metric":
            yield Strategy("TPE with ASHA, eta 3", partial(_learned, 1.0))
            yield Strategy("TPE with ASHA, half tried", partial(_learned, 0.5))
    for part in _TRIED if by == "metric" or "metric" not in recorded.curves else ():
        yield Strategy(f"random search, {100 * part:g}% trained", partial(_at_random, part))


def _is_drawn(strategy: Strategy, by: str) -> bool:
    """Whether a strategy's path is kept: ladders as they are by default, rivals as Tune's are."""
    if strategy.kind == RIVAL:
        return by == "metric" and strategy.name in DRAWN_RIVALS
    return by in ("metric", "both") and "," not in strategy.name


def _climb(selector: str, keep: int, view: View) -> Trace:
    return ladder(view.rungs[selector], view.full, keep=keep)


def _on_curves(search: Callable[[Array], Trace], view: View) -> Trace:
    return search(view.full)


def _learned(part: float, view: View) -> Trace:
    trials = max(round(part * len(view.full)), 2)
    return asha(view.full, propose=partial(parzen_next, points=view.points), trials=trials)


def _at_random(part: float, view: View) -> Trace:
    return some_fully(view.full, count=max(round(part * len(view.full)), 1))


def _view(recorded: Recorded, by: str, own: npt.NDArray[np.int64], seed: int) -> View:
    keys = _keys(by)
    curves = [recorded.curves[key][seed][own] for key in keys]
    full = curves[0] if len(keys) == 1 else rank_sum(*(part.T for part in curves)).T
    rungs = {}
    for selector, its in recorded.ladders.items():
        parts = [its.scores[key][:, seed][:, own] for key in keys]
        rungs[selector] = parts[0] if len(keys) == 1 else rank_sum(*parts)
    return View(full, rungs, recorded.points[own])


def _prices(
    recorded: Recorded, own: npt.NDArray[np.int64], seed: int
) -> dict[tuple[str, str], Prices]:
    """By selector (empty for rivals) and unit, as shares of training all of the draw fully."""
    found = {}
    for unit, spent in recorded.spent.items():
        curve = spent[seed][own]
        whole = float(curve[:, -1].sum())
        found["", unit] = Prices(curve / whole, np.empty((0, len(own))))
        for selector, its in recorded.ladders.items():
            rungs = its.prices[unit][:, seed][:, own] / whole
            found[selector, unit] = Prices(curve / whole, rungs, its.seed[unit] / whole)
    return found


@dataclass(frozen=True)
class _Book:
    """Where one strategy's replays are entered."""

    regret: Array
    cost: dict[str, Array]
    path: Array
    unit: str

    @classmethod
    def empty(cls, draws: int, seeds: int, recorded: Recorded, drawn: bool) -> _Book:
        shape = (draws, seeds)
        looks = len(PATH) if drawn and recorded.spent else 0
        unit = "seconds" if "seconds" in recorded.spent else "examples"
        cost = {unit: np.full(shape, np.nan) for unit in recorded.spent}
        return cls(np.full(shape, np.nan), cost, np.full((looks, *shape), np.nan), unit)

    def enter(
        self,
        cell: tuple[int, int],
        strategy: Strategy,
        view: View,
        trace: Trace,
        lost: Array,
        prices: Mapping[tuple[str, str], Prices],
    ) -> None:
        """Enter what one replay lost and spent.

        Args:
            cell: Its draw and training seed.
            strategy: Which.
            view: What it saw.
            trace: What it did.
            lost: By configuration of the draw, its regret, (n,).
            prices: By selector and unit.
        """
        self.regret[cell] = lost[trace.choice]
        rungs = view.rungs.get(strategy.selector, np.empty((0, len(lost))))
        for unit, values in self.cost.items():
            spent = prices[strategy.selector, unit].spent(trace.steps)
            values[cell] = spent[-1]
            if unit == self.unit and len(self.path):
                named = incumbents(trace.steps, view.full, rungs)
                self.path[(slice(None), *cell)] = along(spent, lost[named], PATH)
