"""Ladder and rivals replayed on what a sweep recorded: regret and cost over many draws.

Live searches are few and their luck is large. Where every configuration was trained fully and on
every rung, each search's decisions can be replayed on any draw of the configurations, with any
training seed's curves, for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from analysis.questions.ladder.recorded import Recorded, record
from analysis.questions.ladder.rivals import DRAWN_RIVALS, keys_of, rankings, rivals, view
from analysis.questions.ladder.variants import Variant, own_variant, ranks_of, variants
from analysis.results.load import Results
from analysis.statistics.climbs import Climbs, climb_many
from analysis.statistics.jackknife import pseudo_values
from analysis.statistics.traces import Prices, Step, along, incumbents

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

DRAWS = 600
_SHARE = 0.8  # of the configurations, in a draw

LADDER, RIVAL = "ladder", "rival"

PATH = np.geomspace(0.01, 1.25, 60)
"""Shares of the cost of training all at which a search's path is looked at."""


@dataclass(frozen=True)
class Replay:
    """One strategy's replays on D draws of C configurations with S training seeds each.

    Attributes:
        strategy: Its name.
        kind: ``ladder`` or ``rival``.
        by: What ranked: ``metric``, ``loss``, ``calibrated`` or ``both`` (ranks by the first two).
        regret: What its choice loses of full training's test metric, (D, S).
        cost: What it spent, by unit, over what training all of the draw fully costs, (D, S).
        unit: What costs are compared in: ``seconds`` where they were measured, else ``examples``.
        path: Regret of the configuration that it held for best at each of ``PATH`` shares of the
            cost of training all, (G, D, S); NaN before there is one, and (0, D, S) for a strategy
            of which no path is kept.
        members: Which configurations each draw holds, (D, C), the same for every strategy.
        own: Whether it is the ladder as the sweep sets it, or, where it sets none, the default.
    """

    strategy: str
    kind: str
    by: str
    regret: Array
    cost: Mapping[str, Array]
    unit: str
    path: Array
    members: npt.NDArray[np.bool_]
    own: bool = False

    @cached_property
    def pseudo(self) -> Array | None:
        """The jackknife's pseudo-values (C, S) of the regret; ``None`` of too few draws."""
        return pseudo_values(self.regret, self.members)

    def mean_cost(self, unit: str) -> float:
        """Over draws and seeds; NaN where the unit was not counted."""
        return float(self.cost[unit].mean()) if unit in self.cost else float("nan")


def replay_all(
    results: Results, *, draws: int = DRAWS, share: float = _SHARE, seed: int = 0
) -> list[Replay]:
    """Every strategy on the same draws of configurations, each with every training seed's curves.

    Args:
        results: The results of a sweep that trained all configurations fully, and on rungs (arms
            that train on less than full training does).
        draws: Random draws of configurations, each in a random order.
        share: The share of the configurations in a draw.
        seed: The seed of the draws.

    Returns:
        Nothing without full training's curves of five configurations, or without rungs.
    """
    recorded = record(results)
    if recorded is None or not recorded.rungs:
        return []
    contest = _Contest.of(recorded, draws, share, seed)
    own, ranks = own_variant(recorded, results.sweep), ranks_of(results.sweep)
    found = []
    for variant in variants(recorded, results.sweep):
        for by in rankings(recorded):
            is_own = variant == own and by == ranks
            drawn = is_own or (variant.is_plain and by in ("metric", "both"))
            found.append(replace(contest.climb(variant, by, drawn=drawn), own=is_own))
    return [*found, *contest.rivals()]


@dataclass(frozen=True)
class _Contest:
    """Draws, and what each strategy does with them.

    Attributes:
        recorded: What there is to replay.
        drawn: The configurations of each draw in their order, (D, n).
        lost: The regret of each, (D, n).
        whole: What training all of each draw fully costs, by unit, (D, S).
    """

    recorded: Recorded
    drawn: Indices
    lost: Array
    whole: Mapping[str, Array]

    @classmethod
    def of(cls, recorded: Recorded, draws: int, share: float, seed: int) -> _Contest:
        rng = np.random.default_rng(seed)
        count = len(recorded.truth)
        size = max(round(share * count), 2)
        drawn = np.stack([rng.permutation(count)[:size] for _ in range(draws)])
        truth = recorded.truth[drawn]
        whole = {
            unit: np.asarray(spent[..., -1].T[drawn].sum(axis=1))
            for unit, spent in recorded.spent.items()
        }
        return cls(recorded, drawn, truth.max(axis=1, keepdims=True) - truth, whole)

    @property
    def shape(self) -> tuple[int, int]:
        """Draws and training seeds, (D, S)."""
        return len(self.drawn), next(iter(self.recorded.curves.values())).shape[0]

    @property
    def unit(self) -> str:
        """What costs are compared in."""
        return "seconds" if "seconds" in self.recorded.spent else "examples"

    def climb(self, variant: Variant, by: str, *, drawn: bool) -> Replay:
        """A ladder on all draws at once.

        Args:
            variant: Which.
            by: What ranks.
            drawn: Whether its path is kept.
        """
        recorded = self.recorded
        rungs = [recorded.rungs[arm] for arm in variant.rungs]
        metric = "metric" if "metric" in recorded.curves else keys_of(by)[0]
        scores = [self._spread([rung.scores[key] for rung in rungs]) for key in keys_of(by)]
        ended = recorded.curves[metric][..., -1]
        shown = self._spread([*(rung.scores[metric] for rung in rungs), ended])
        climbs = climb_many(scores, shown, keep=variant.keep, confirm=variant.confirm)
        prices = {
            unit: self._spread([*(rung.prices[unit] for rung in rungs), spent[..., -1]])
            for unit, spent in recorded.spent.items()
        }
        seeds = {trial: spent for rung in rungs for trial, spent in rung.seeds.items()}
        cost = {
            unit: (
                climbs.spent(price).reshape(self.shape)
                + sum(spent[unit] for spent in seeds.values())
            )
            / self.whole[unit]
            for unit, price in prices.items()
        }
        lost = np.take_along_axis(self.lost, climbs.choice.reshape(self.shape), axis=1)
        replay = self._replay(variant.name, LADDER, by, lost, cost)
        if drawn and prices:
            paid = sum(spent[self.unit] for spent in seeds.values())
            self._follow(replay, climbs, metric, prices[self.unit], paid)
            return replay
        return self._without_path(replay)

    def rivals(self) -> list[Replay]:
        """Every rival on every draw."""
        found = []
        for by in rankings(self.recorded):
            for rival in rivals(self.recorded, by):
                cost = {unit: np.empty(self.shape) for unit in self.recorded.spent}
                replay = self._replay(rival.name, RIVAL, by, np.empty(self.shape), cost)
                kept = by == "metric" and rival.name in DRAWN_RIVALS
                for cell in self._cells():
                    own = self.drawn[cell[0]]
                    seen = view(self.recorded, by, own, cell[1])
                    trace = rival.run(seen)
                    replay.regret[cell] = self.lost[cell[0], trace.choice]
                    none = np.empty((0, len(own)))
                    for unit, spent in self.recorded.spent.items():
                        priced = Prices(spent[cell[1]][own], none).spent(trace.steps)
                        cost[unit][cell] = priced[-1] / self.whole[unit][cell]
                        if kept and unit == self.unit:
                            self._enter(replay, cell, priced, trace.steps, seen.full, none)
                found.append(replay if kept else self._without_path(replay))
        return found

    def _cells(self) -> Iterator[tuple[int, int]]:
        """Every draw with every training seed, in the order of the climbs."""
        draws, seeds = self.shape
        return product(range(draws), range(seeds))

    def _spread(self, values: Sequence[Array]) -> Array:
        """Values (S, C) of each of R trainings as the draws see them, (R, D S, n)."""
        stacked = np.stack(values)[..., self.drawn]  # (R, S, D, n)
        return np.asarray(stacked.swapaxes(1, 2).reshape(len(values), -1, self.drawn.shape[1]))

    def _replay(
        self, name: str, kind: str, by: str, regret: Array, cost: Mapping[str, Array]
    ) -> Replay:
        members = np.zeros((len(self.drawn), len(self.recorded.truth)), dtype=bool)
        np.put_along_axis(members, self.drawn, True, axis=1)
        path = np.full((len(PATH), *self.shape), np.nan)
        return Replay(name, kind, by, regret, cost, self.unit, path, members)

    def _without_path(self, replay: Replay) -> Replay:
        return replace(replay, path=replay.path[:0])

    def _follow(
        self, replay: Replay, climbs: Climbs, metric: str, prices: Array, paid: float
    ) -> None:
        """Enter the paths of a ladder.

        Args:
            replay: Its own.
            climbs: What it did.
            metric: What full training is judged by.
            prices: The prices of each training, (R + 1, D S, n).
            paid: What was paid before the first training, for the seed trials.
        """
        curves = self.recorded.curves[metric]
        for place, cell in enumerate(self._cells()):
            full = curves[cell[1]][self.drawn[cell[0]]]
            steps = climbs.steps(place, full.shape[1])
            below = len(prices) - 1
            spent = paid + np.cumsum(
                [prices[step.rung, place, step.configuration] for step in steps]
            )
            self._enter(replay, cell, spent, steps, full, climbs.standing[:below, place])

    def _enter(
        self,
        replay: Replay,
        cell: tuple[int, int],
        spent: Array,
        steps: Sequence[Step],
        full: Array,
        rungs: Array,
    ) -> None:
        """Enter one path.

        Args:
            replay: Whose.
            cell: Draw and training seed.
            spent: What was spent by the end of each step, (T,).
            steps: What it trained.
            full: What full training's curves showed it, (n, E).
            rungs: What its rungs did, (R, n).
        """
        named = incumbents(steps, full, rungs)
        budgets = PATH * self.whole[self.unit][cell]
        replay.path[:, cell[0], cell[1]] = along(spent, self.lost[cell[0]][named], budgets)
