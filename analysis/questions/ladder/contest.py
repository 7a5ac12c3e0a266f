"""Who wins a contest of replays: regret at equal cost, and cost at equal regret."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.questions.ladder.regrets import least_ratio, mean_interval
from analysis.questions.ladder.replayed import LADDER, RIVAL, Replay
from analysis.results.load import Results
from analysis.statistics.bootstrap import Interval
from analysis.statistics.jackknife import pseudo_values
from analysis.words import arm_name, difference, minus

TOLERANCE = 1.05
"""A rival that costs, or loses, up to a twentieth more counts as equal."""

HALF = 0.5
"""A ladder wins with half of its rival's regret at equal cost, or half its cost at equal regret."""

WINS, AHEAD = "the ladder wins", "the ladder is ahead"
UNSURE, BEHIND = "not told apart", "a rival is ahead"
_ORDER = (WINS, AHEAD, UNSURE, BEHIND, "")

COLUMNS = (
    *("strategy", "by", "own", "unit", "cost", "regret"),
    *("rival_at_cost", "rival_at_cost_by", "rival_regret", "regret_ratio"),
    *("gain", "gain_low", "gain_high"),
    *("rival_at_regret", "rival_at_regret_by", "rival_cost", "cost_ratio", "outcome"),
)


def contest_table(replays: Sequence[Replay], *, level: float = 0.95) -> pd.DataFrame:
    """Each ladder against the best rival, whichever that is and whatever it ranks by.

    Args:
        replays: The replays of all strategies, on the same draws.
        level: The level of the interval of the paired difference of regrets.

    Returns:
        A row per ladder: whether it is the sweep's ``own``, ``cost`` and ``regret``;
        ``rival_at_cost``, the rival of least regret among those that cost no more (within
        ``TOLERANCE``), its ``rival_regret``, the ``regret_ratio`` of the ladder's over it (NaN
        without such a rival) and ``gain``, the rival's regret minus the ladder's with its interval;
        ``rival_at_regret``, the cheapest rival that loses no more, its ``rival_cost`` and the
        ``cost_ratio`` (0 where no rival comes as close at any price); ``outcome`` in words, see
        :func:`outcome`. The one that shows best comes first. Costs are slot-seconds where they were
        measured, else examples.
    """
    rivals = [r for r in replays if r.kind == RIVAL]
    least = least_ratio(replays)
    rows = [
        _against(r, rivals, level, least)
        for r in replays
        if r.kind == LADDER and math.isfinite(r.mean_cost(r.unit))
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    best = frame[["regret_ratio", "cost_ratio"]].astype(float).min(axis=1)
    place = frame["outcome"].map(_ORDER.index)
    order = np.lexsort((frame["regret"].astype(float), best.fillna(math.inf), place))
    return frame.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class _Mean:
    """A replay by its means."""

    replay: Replay
    cost: float
    regret: float


def _against(
    own: Replay, rivals: Sequence[Replay], level: float, least: float
) -> dict[str, object]:
    unit = own.unit
    mine = _Mean(own, own.mean_cost(unit), float(own.regret.mean()))
    others = [_Mean(r, r.mean_cost(unit), float(r.regret.mean())) for r in rivals]
    row: dict[str, object] = {"strategy": own.strategy, "by": own.by, "own": own.own, "unit": unit}
    row |= {"cost": mine.cost, "regret": mine.regret, "regret_ratio": math.nan}
    cheap = [o for o in others if o.cost <= TOLERANCE * mine.cost]
    if cheap:
        at_cost = min(cheap, key=lambda o: (o.regret, o.cost))
        difference = at_cost.replay.regret - own.regret
        pseudo = pseudo_values(difference, own.members)
        losses = at_cost.regret + mine.regret
        gain = mean_interval(difference, pseudo, losses=losses, least_ratio=least, level=level)
        row |= {"rival_at_cost": at_cost.replay.strategy, "rival_at_cost_by": at_cost.replay.by}
        row |= {"rival_regret": at_cost.regret, "gain": gain.estimate}
        row |= {"gain_low": gain.low, "gain_high": gain.high}
        row["regret_ratio"] = _ratio(mine.regret, at_cost.regret)
    close = [o for o in others if o.regret <= TOLERANCE * mine.regret]
    row["cost_ratio"] = 0.0 if others else math.nan
    if close:
        at_regret = min(close, key=lambda o: (o.cost, o.regret))
        row |= {"rival_at_regret": at_regret.replay.strategy}
        row |= {"rival_at_regret_by": at_regret.replay.by, "rival_cost": at_regret.cost}
        row["cost_ratio"] = _ratio(mine.cost, at_regret.cost)
    limits = Interval(math.nan) if not cheap else gain
    said = outcome(float(str(row["regret_ratio"])), float(str(row["cost_ratio"])), limits)
    return row | {"outcome": said}


def _ratio(own: float, other: float) -> float:
    """Of two numbers that are not negative; 1 where both are 0."""
    if other > 0:
        return own / other
    return 1.0 if own == 0 else math.inf


def outcome(regret_ratio: float, cost_ratio: float, gain: Interval) -> str:
    """Who is ahead; empty without a rival.

    Args:
        regret_ratio: The ladder's regret over that of the best rival at its cost, or NaN.
        cost_ratio: The ladder's cost over that of the cheapest rival at its regret, or NaN.
        gain: The rival's regret at the ladder's cost minus the ladder's: where its interval holds
            zero, the ladder is not ahead, whatever the ratios of the means, and a rival is where it
            loses no more for half the cost.
    """
    ratios = [ratio for ratio in (regret_ratio, cost_ratio) if not math.isnan(ratio)]
    if not ratios:
        return ""
    if gain.known and gain.low <= 0 <= gain.high:
        return BEHIND if cost_ratio >= 1 / HALF else UNSURE
    if min(ratios) <= HALF and not (gain.known and gain.high < 0):
        return WINS
    return AHEAD if min(ratios) < 1 and not (gain.known and gain.high < 0) else BEHIND


def own_of(table: pd.DataFrame) -> pd.Series | None:
    """The ladder that the sweep would climb as it is set, or by default, if it was replayed.

    Args:
        table: The result of :func:`contest_table`.
    """
    own = table[table["own"].astype(bool)]
    return own.iloc[0] if len(own) else None


def contest_sentences(
    results: Results, table: pd.DataFrame, replays: Sequence[Replay], *, level: float = 0.95
) -> list[str]:
    """Who wins, in a sentence on the ladder as it is set, and one on the ladder that shows best.

    Of a ladder whose rungs were not recorded nothing is claimed: the best of the others flatters.

    Args:
        results: The results of the sweep.
        table: The result of :func:`contest_table`.
        replays: What it was made of.
        level: The level of its intervals.
    """
    if table.empty or not table["outcome"].iloc[0]:
        return []
    own, best = own_of(table), table.iloc[0]
    draws, seeds = replays[0].regret.shape
    counted = "every second counted" if best["unit"] == "seconds" else "costs in examples"
    setting = (
        f"{draws} draws of the configurations with {seeds} training seed{'s' * (seeds > 1)} each, "
        f"{counted}"
    )
    said = []
    if own is not None:
        who = {
            WINS: "The ladder wins the replays",
            AHEAD: "The ladder is ahead in the replays, by less than a factor of two",
            UNSURE: "In the replays ladder and rivals are not told apart",
            BEHIND: "A rival is ahead in the replays",
        }[str(own["outcome"])]
        said.append(f"{who} ({setting}): {_sides(results, own, level)}.")
    if own is None or own.name != best.name:
        rivals = len({(r.strategy, r.by) for r in replays if r.kind == RIVAL})
        where = f" in replays, which hold none as the sweep sets it ({setting})" * (own is None)
        said.append(
            f"Of {len(table)} ladders against {rivals} rivals{where} one shows best "
            f"({best['outcome']}; the best of so many flatters): {_sides(results, best, level)}."
        )
    return said


def _sides(results: Results, row: pd.Series, level: float) -> str:
    own = strategy_title(str(row["strategy"]), str(row["by"]), results)
    text = f"the {own} loses {_lost(results, row['regret'])} at {_share(row)} of the cost of "
    text += "training all"
    return f"{text}; {_at_cost(results, row, level)}; {_at_regret(results, row)}"


def _at_cost(results: Results, best: pd.Series, level: float) -> str:
    if pd.isna(best["regret_ratio"]):
        return "no rival costs as little"
    rival = strategy_title(str(best["rival_at_cost"]), str(best["rival_at_cost_by"]), results)
    limits = ""
    if math.isfinite(best["gain_low"]):
        low, high = (difference(results, best[f"gain_{end}"]) for end in ("low", "high"))
        limits = f" (difference {difference(results, best['gain'])}, "
        limits += f"{100 * level:g}% interval {low} to {high})"
    lost = _lost(results, best["rival_regret"])
    return f"for no more than that the best rival, {rival}, loses {lost}{limits}"


def _at_regret(results: Results, best: pd.Series) -> str:
    if not isinstance(best["rival_at_regret"], str):
        return "no rival comes as close at any price"
    rival = strategy_title(str(best["rival_at_regret"]), str(best["rival_at_regret_by"]), results)
    return f"the cheapest rival that loses no more, {rival}, costs {100 * best['rival_cost']:.0f}%"


def strategy_title(strategy: str, by: str, results: Results) -> str:
    """A replayed strategy with what it ranks by, in words.

    Args:
        strategy: Its name in the tables.
        by: What ranks.
        results: The results of the sweep, for the metric's name.
    """
    title = strategy
    if strategy.startswith("ladder of "):
        selector, _, rest = strategy.removeprefix("ladder of ").partition(",")
        rungs = "short full trainings" if selector == "full" else arm_name(selector)
        title = f"ladder of {rungs}{',' * bool(rest)}{rest}"
    return f"{title} by {RANKS.get(by, by).format(metric=results.metric.replace('_', ' '))}"


RANKS = {
    "metric": "{metric}",
    "loss": "loss",
    "calibrated": "calibrated loss",
    "both": "the sum of both ranks",
}
"""What ranks, in words."""


def _lost(results: Results, value: float) -> str:
    return difference(results, value).lstrip("+")


def _share(best: pd.Series) -> str:
    return minus(f"{100 * best['cost']:.0f}%")
