"""Ladder and rivals replayed over many draws of the configurations: who wins, and why."""

from __future__ import annotations

import pandas as pd

from analysis.figures.ladder import plot_regret
from analysis.options import ReportOptions
from analysis.questions.ladder.anytime import regret_curves
from analysis.questions.ladder.contest import (
    RANKS,
    contest_sentences,
    contest_table,
    strategy_title,
)
from analysis.questions.ladder.regrets import replayed_table
from analysis.questions.ladder.replayed import DRAWS, RIVAL, Replay, replay_all
from analysis.results.load import Results
from analysis.sections.plots import draw
from analysis.tables import Column, Plot, Section, Table
from analysis.words import difference, interval

_MOST = 12  # ladders that a table shows beside those that are always shown


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where every configuration was trained fully and on rungs of one selector."""
    if results.selection_only:
        return None
    replays = replay_all(results, draws=min(DRAWS, options.resamples))
    if not replays:
        return None
    level = options.level
    contest = contest_table(replays, level=level)
    said = contest_sentences(results, contest, replays, level=level)
    table = replayed_table(replays, level=level)
    return Section(
        "replayed",
        "What a ladder would have chosen, and its rivals",
        said,
        (*_plots(results, replays), _table(results, table), _contest(results, contest)),
        headline=said,
    )


def _plots(results: Results, replays: list[Replay]) -> list[Plot]:
    frame = regret_curves(replays)
    if frame.empty:
        return []
    frame = frame.assign(
        name=[
            strategy_title(strategy, by, results)
            for strategy, by in zip(frame["strategy"], frame["by"], strict=True)
        ]
    )
    ends = frame.groupby("name", sort=False)["regret"].last()
    said = "; ".join(f"{name} {difference(results, v).lstrip('+')}" for name, v in ends.items())
    unit = "slot-seconds" if frame["unit"].iloc[0] == "seconds" else "examples"
    scale = 100.0 if results.is_share else 1.0
    return [
        draw(
            "regret",
            "Regret against what a search has spent",
            lambda ax: plot_regret(
                frame,
                ax,
                cost=f"Share of training all, {unit}",
                scale=scale,
                unit="pp" if results.is_share else "",
            ),
            frame,
            alt=f"Mean regret where each search ends: {said}.",
            caption="What the configuration that a search holds for best loses of full training's "
            "test metric against the draw's best, after each share of the cost of training all. "
            "Lines: means over draws and training seeds; bands: the range over training seeds.",
            height=2.8 + 0.19 * len(ends),  # names as long as these stand one below the other
        )
    ]


def _table(results: Results, table: pd.DataFrame) -> Table:
    """Each strategy by what serves it best; the CSV holds every ranking and every ladder."""
    metric = results.metric.replace("_", " ")
    scale = 100.0 if results.is_share else 1.0
    table = table.sort_values("regret", kind="stable", ignore_index=True)
    best = table.groupby("strategy", sort=False).head(1)
    plain = ~best["strategy"].str.contains(",") | best["kind"].eq(RIVAL)
    few = best[plain].index.union(best[~plain].index[:_MOST])
    frame = table.assign(
        shown=table.index.isin(few),
        name=[strategy_title(s, "", results).removesuffix(" by ") for s in table["strategy"]],
        ranked=[RANKS[by].format(metric=metric) for by in table["by"]],
        limits=[
            interval(scale * low, scale * high)
            for low, high in zip(table["regret_low"], table["regret_high"], strict=True)
        ],
    )
    columns = [
        Column("name", "Strategy", numeric=False, note="ranked"),
        *(
            Column(f"cost_{unit}", title, lambda v: f"{100 * v:.1f}%")
            for unit, title in (("seconds", "Slot time"), ("examples", "Examples"))
            if table[f"cost_{unit}"].notna().any()
        ),
        Column("regret", "Mean regret", lambda v: difference(results, v), note="limits"),
        Column("best_found", "Found the best", lambda v: f"{100 * v:.0f}%"),
    ]
    draws, seeds = (int(table[column].iloc[0]) for column in ("draws", "seeds"))
    notes = [
        "Below each name what it ranks by where it loses least. Ladders of all rungs of a kind, "
        f"the {_MOST} best of the others, and all rivals; the CSV holds every ladder and ranking. "
        f"{draws} draws of configurations in random order, each with the curves of "
        f"{seeds} training seed{'s' * (seeds > 1)}, the same for every strategy. "
        "Slot time and examples: shares of training all of the draw fully; training, selection, "
        "evaluation, waiting, start-up, the seed trials that rungs replay and the winner's full "
        f"training are counted. Regret: what the choice loses of test {metric}, averaged over "
        "training seeds, against the draw's best; intervals by paired bootstrap over "
        "configurations and training seeds (pseudo-values of the jackknife over draws).",
        "Ladders wait for a whole rung before the next. TPE: a tree-structured Parzen estimator, "
        "as Optuna's, that draws from the recorded configurations.",
    ]
    return Table(
        "replayed", "Searches replayed on the recorded curves", frame, columns, notes, "shown"
    )


def _contest(results: Results, contest: pd.DataFrame) -> Table:
    def titles(name: str, by: str) -> list[str | None]:
        pairs = zip(contest[name], contest[by], strict=True)
        return [strategy_title(s, b, results) if isinstance(s, str) else None for s, b in pairs]

    scale = 100.0 if results.is_share else 1.0
    best = contest.drop_duplicates("strategy").index[:_MOST]
    frame = contest.assign(
        shown=contest.index.isin(best) | contest["own"].astype(bool),
        name=titles("strategy", "by"),
        at_cost=titles("rival_at_cost", "rival_at_cost_by"),
        at_regret=titles("rival_at_regret", "rival_at_regret_by"),
        limits=[
            interval(scale * low, scale * high, "{:+.2f}")
            for low, high in zip(contest["gain_low"], contest["gain_high"], strict=True)
        ],
    )
    columns = [
        Column("name", "Ladder", numeric=False, note="outcome"),
        Column("cost", "Cost", lambda v: f"{100 * v:.1f}%"),
        Column("regret", "Regret", lambda v: difference(results, v)),
        Column("at_cost", "Best rival for no more", numeric=False),
        Column("rival_regret", "It loses", lambda v: difference(results, v)),
        Column("gain", "Difference", lambda v: difference(results, v), note="limits"),
        Column("at_regret", "Cheapest rival that loses no more", numeric=False),
        Column("rival_cost", "It costs", lambda v: f"{100 * v:.1f}%"),
    ]
    notes = [
        "A ladder wins with half of the regret of the best rival that costs no more, or half the "
        "cost of the cheapest rival that loses no more (both within 5%), if the interval of the "
        "difference leaves out zero. Every ladder and every "
        "rival, each with everything that may rank, took part: the best of so many looks better "
        f"than it would be on new data. The ladder as the sweep sets it, and the {_MOST} that show "
        "best; all are in the CSV."
    ]
    return Table("contest", "Ladders against their best rivals", frame, columns, notes, "shown")
