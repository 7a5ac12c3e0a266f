"""The answer first: what was chosen, for what price, beside each rival."""

from __future__ import annotations

import pandas as pd

from analysis.figures.ladder import plot_regret, plot_way_up, plot_winners
from analysis.options import ReportOptions
from analysis.questions.ladder.answer import SAME, answer_table
from analysis.questions.ladder.climb import way_up
from analysis.questions.ladder.live import live_curves
from analysis.results.load import Results
from analysis.sections.plots import bar_height, draw
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import difference, interval, metric_value, seconds, strategy_name


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where the sweep ran a ladder or rivals."""
    table = answer_table(results, level=options.level)
    plots = _plots(results, table, options)
    if table.empty:  # a ladder in a Tuner of the user's own has no rivals, but ways up
        title = "The configurations' way up"
        return Section("answer", title, (), tuple(plots)) if plots else None
    return Section("answer", "The answer", (), (_table(results, table, options), *plots))


def _table(results: Results, table: pd.DataFrame, options: ReportOptions) -> Table:
    scale = 100.0 if results.is_share else 1.0
    frame = table.assign(
        name=table["strategy"].map(strategy_name),
        limits=[
            "" if said in ("", SAME) else interval(scale * low, scale * high, "{:+.2f}")
            for low, high, said in zip(table["low"], table["high"], table["outcome"], strict=True)
        ],
        chosen=table["configuration"].where(table["configuration"] >= 0),
    )
    metric = results.metric.replace("_", " ")
    columns = [
        Column("name", "Strategy", numeric=False),
        Column("chosen", "Its choice", count, note="point"),
        Column("test", f"Test {metric}", lambda v: metric_value(results, v)),
        Column("wall_s", "Waited", seconds),
        Column("slot_s", "Slot time", seconds),
        Column("trials", "Trials", count),
        Column("difference", "Own better by", lambda v: difference(results, v), note="limits"),
        Column("outcome", "Own choice is", numeric=False),
    ]
    notes = [
        "Waited: wall-clock of the strategy's own search. Slot time: how long all its trials held "
        "slots, seed, selection, evaluation, waiting and start-up counted. Better by: of the test "
        f"{metric} of both choices trained on all the data, paired by training seed, with "
        f"Student's t interval ({100 * options.level:g}%) where two seeds or more trained both."
    ]
    return Table("answer", "What was chosen, and what it cost", frame, columns, notes)


def _plots(results: Results, table: pd.DataFrame, options: ReportOptions) -> list[Plot]:
    curves = live_curves(results)
    found = [_regret(results, curves)] if len(curves) else _winners(results, table, options)
    ways = way_up(results)
    return [*found, _way_up(results, ways)] if len(ways) else found


def _regret(results: Results, curves: pd.DataFrame) -> Plot:
    scale, unit = (100.0, "pp") if results.is_share else (1.0, "")
    frame = curves.assign(name=curves["strategy"].map(strategy_name))
    ends = frame.groupby("name", sort=False).last()
    said = "; ".join(
        f"{name} {difference(results, row['regret']).lstrip('+')} after {seconds(row['cost'])}"
        for name, row in ends.iterrows()
    )
    return draw(
        "regret_live",
        "Regret against slot time, as it ran",
        lambda ax: plot_regret(
            frame, ax, cost="Slot-seconds taken", seconds=True, scale=scale, unit=unit
        ),
        frame,
        alt=f"Regret at the end of each strategy: {said}.",
        caption="What the configuration that a strategy held for best loses of full training's "
        "test metric (mean over training seeds, whichever strategy trained it) against the best "
        "that is known. One run of each: their luck is in it.",
        height=3.5,
    )


def _winners(results: Results, table: pd.DataFrame, options: ReportOptions) -> list[Plot]:
    """The choices pair by pair, where not everything was trained fully."""
    if table.empty or table["difference"].isna().all():
        return []
    frame = table[table["difference"].notna()]
    frame = frame.assign(name=frame["strategy"].map(strategy_name))
    scale, unit = (100.0, "pp") if results.is_share else (1.0, "")
    said = "; ".join(
        f"{row['name']} {difference(results, row['difference'])}" for _, row in frame.iterrows()
    )
    return [
        draw(
            "winners",
            "The own choice against each rival's",
            lambda ax: plot_winners(frame, ax, scale=scale, unit=unit),
            frame,
            alt=f"The own choice is better than that of {said}.",
            caption="Difference of the test metric of both choices trained on all the data, paired "
            f"by training seed; bars: Student's t interval ({100 * options.level:g}%) where two "
            "training seeds or more trained both.",
            height=bar_height(len(frame)),
        )
    ]


def _way_up(results: Results, ways: pd.DataFrame) -> Plot:
    sizes = ways.groupby("rung_name", sort=False)["configuration"].nunique()
    said = "; ".join(f"{number} on {name}" for name, number in sizes.items())
    return draw(
        "way_up",
        "The configurations' way up the rungs",
        lambda ax: plot_way_up(ways, ax),
        ways,
        alt=f"Configurations by rung: {said}.",
        caption="Each line is a configuration, at its place on each rung that it trained on (by "
        "what ranks the rung; full training by the validation metric). Filled marks went up or "
        "were chosen, hollow ones stayed; those that came highest are numbered as in the table of "
        "trials.",
        height=4.2 if len(ways) > 20 else 3.3,
    )
