"""The last thing a user sees on the terminal: the decision table and the verdict."""

from __future__ import annotations

import math
from typing import Any, Literal

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from analysis.questions.headline import decision_table
from analysis.questions.ladder.answer import answer_sentences, answer_table
from analysis.questions.occupancy import held_seconds, occupancy, wall_seconds
from analysis.questions.verdict import verdict
from analysis.results.load import Results
from analysis.words import difference, metric_value, seconds, strategy_name

_COLUMNS = (
    ("arm", "arm", ""),
    ("trials", "trials", "d"),
    ("failed", "failed", "d"),
    ("slot s", "total_s", ".1f"),  # all that its trials held a slot for
    ("best", "best", ".3f"),
    ("mean", "mean", ".3f"),
    ("times\nfaster", "waited_speedup", ".1f"),  # of these seconds, the seed paid for
    ("papers'\nmeasure", "speedup", ".1f"),  # training and selection alone
)


def show_summary(results: Results, console: Console) -> None:
    """Print what a sweep found, side by side, and what its ladder or replay bought."""
    answer = answer_table(results)
    console.print(_searches(results, answer) if len(answer) else _arms(results))
    console.print(waited(results))
    for said in (*answer_sentences(results, answer), verdict(results).sentence):
        if said:
            console.print(said)


def _searches(results: Results, answer: pd.DataFrame) -> Table:
    """The ways to search beside each other: a ladder's rungs alone are no answer."""
    table = _table(f"{results.name}: what each search chose, and what it took")
    for title in ("search", "trials", "waited s", "slot s", "chosen, test", "ladder's lead"):
        _add_column(table, title, named=title == "search")
    for row in answer.to_dict("records"):
        table.add_row(
            strategy_name(str(row["strategy"])),
            str(row["trials"]),
            _text(row["wall_s"], ".1f"),
            _text(row["slot_s"], ".1f"),
            metric_value(results, row["test"]),
            difference(results, row["difference"]),
        )
    return table


def _arms(results: Results) -> Table:
    table = _table(f"{results.name}: test {results.metric} and seconds by arm")
    for title, _, _ in _COLUMNS:
        _add_column(table, title, named=title == "arm")
    for row in decision_table(results).to_dict("records"):
        table.add_row(*(_text(row[column], form) for _, column, form in _COLUMNS))
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        box=SIMPLE,
        padding=(0, 1),
        collapse_padding=True,
        show_edge=False,
        pad_edge=False,
    )


def _add_column(table: Table, title: str, *, named: bool) -> None:
    """A row is known by its whole name, and a number by all its digits: nothing is cut off.

    Where the terminal is too narrow, names go on in the next line.
    """
    side: Literal["left", "right"] = "left" if named else "right"
    table.add_column(title, justify=side, no_wrap=not named, overflow="fold", min_width=5)


def waited(results: Results) -> str:
    """How long the user waited for the whole sweep, and what its slots did meanwhile.

    Empty for results that did not record when their commands ran.
    """
    whole_s = wall_seconds(results)
    if not math.isfinite(whole_s):
        return ""
    found = occupancy(results)
    busy = "" if found is None else f"; in the search, slots were busy {100 * found.busy:.0f}%"
    slots = results.runs["slots"].max() if found is None else found.slots
    slots = max(1, int(slots)) if math.isfinite(slots) else 1
    return (
        f"The whole sweep took {seconds(whole_s)} on {slots} slot{'s' if slots > 1 else ''}, of "
        f"which its trials held {seconds(held_seconds(results))} of slot time{busy}."
    )


def _text(value: Any, form: str) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if missing:
        return "-"
    # Four digits say it; more would cost the width that the arms' names need.
    return format(value, ".0f" if form == ".1f" and abs(value) >= 1000 else form)
