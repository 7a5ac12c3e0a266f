"""The answer first: what was chosen, for what price, beside each rival."""

from __future__ import annotations

from analysis.options import ReportOptions
from analysis.questions.ladder.answer import SAME, answer_table
from analysis.results.load import Results
from analysis.tables import Column, Section, Table, count
from analysis.words import difference, interval, metric_value, seconds, strategy_name


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where the sweep ran a ladder or rivals."""
    table = answer_table(results, level=options.level)
    if table.empty:
        return None
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
    shown = Table("answer", "What was chosen, and what it cost", frame, columns, notes)
    return Section("answer", "The answer", (), (shown,))
