"""Where training's seconds went, pass by pass (Jiang et al., Figs. 1, 10 and 18)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.figures.bars import plot_cost
from analysis.options import ReportOptions
from analysis.questions.methods.step_parts import PARTS, TARGET_FACTOR, long_parts, step_parts
from analysis.results.load import Results
from analysis.sections.plots import bar_height, draw
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, number, seconds, times


def section(results: Results, options: ReportOptions) -> Section | None:
    """Where trials told their forward and backward passes apart."""
    whole = step_parts(results)
    if whole.empty:
        return None
    items: list[Table | Plot] = [_table(whole), _plot(whole, "step_parts", "Seconds of a trial")]
    reached = step_parts(results, TARGET_FACTOR)
    if len(reached) > 1:
        to = f"Seconds to {TARGET_FACTOR:g} × full training's final error"
        items.append(_plot(reached, "step_parts_to_target", to))
    text = (
        "Forward and backward are the training steps' own (the optimizer's work is in backward), "
        "selection is everything that chose examples, the rest is data and bookkeeping. Means over "
        "the configurations and seeds that every arm shown has finished."
    )
    title = "Where the training's seconds went"
    return Section("step_parts", title, (text,), tuple(items), open=False)


def _table(parts: pd.DataFrame) -> Table:
    per_thousand = parts["examples"].where(parts["examples"] > 0) / 1000
    frame = parts.assign(
        name=parts["arm"].map(arm_name),
        ratio=parts["backward"] / parts["forward"].where(parts["forward"] > 0, np.nan),
        forward_each=1000 * parts["forward"] / per_thousand,
        backward_each=1000 * parts["backward"] / per_thousand,
    )
    columns = [Column("name", "Arm", numeric=False)]
    columns += [Column(part, _TITLES[part], seconds) for part in PARTS]
    columns += [
        Column("ratio", "Backward over forward", times),
        Column("forward_each", "Forward of 1,000 examples (ms)", number),
        Column("backward_each", "Backward of 1,000 examples (ms)", number),
        Column("trials", "Trials", count),
    ]
    notes = [
        "Speed limits that count passes take a backward pass for twice a forward pass; the ratio "
        "is what this machine and model had."
    ]
    return Table("step_parts", "Forward, backward, selection", frame, columns, notes)


_TITLES = {
    "select": "Selection",
    "forward": "Forward",
    "backward": "Backward",
    "other": "The rest",
}


def _plot(parts: pd.DataFrame, name: str, title: str) -> Plot:
    long = long_parts(parts)
    said = "; ".join(
        f"{arm_name(str(row['arm']))} "
        + ", ".join(f"{_TITLES[part].lower()} {seconds(row[part])}" for part in PARTS)
        for row in parts.to_dict("records")
    )
    return draw(
        name,
        title,
        lambda ax: plot_cost(long, ax, label="Seconds of a trial"),
        long,
        alt=f"{title} by arm and part: {said}.",
        height=bar_height(len(parts)),
    )
