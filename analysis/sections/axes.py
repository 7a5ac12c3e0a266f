"""The test metric along the axes of the space, a curve per arm."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.figures.lines import plot_axis
from analysis.options import ReportOptions
from analysis.questions.axes import axis_frame, independent_axes, ordered
from analysis.results.load import Results
from analysis.sections.plots import draw, file_name
from analysis.sections.shape import Shape
from analysis.tables import Column, Plot, Section, Table
from analysis.words import arm_name, axis_name


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where an axis takes two values or more."""
    shape = Shape.of([results])
    items: list[Table | Plot] = []
    for axis in independent_axes(results):
        frame = axis_frame(results, axis)
        if frame["value"].nunique() > 1:
            items += [_plot(results, frame, axis, shape), _table(results, frame, axis, shape)]
    if not items:
        return None
    text = (
        "Test values at each trial's best validation epoch: means over the other axes and the "
        "training seeds. Bands: the smallest and the largest seed."
    )
    return Section("axes", f"Test {shape.metric} along the axes", (text,), tuple(items), open=False)


def _plot(results: Results, frame: pd.DataFrame, axis: str, shape: Shape) -> Plot:
    ends = frame.groupby("arm", sort=False)["test"].agg(["first", "last"])
    said = "; ".join(
        f"{arm_name(str(arm))} {shape.value(row['first'])} to {shape.value(row['last'])}"
        for arm, row in ends.iterrows()
    )
    scaled = frame.assign(**{c: frame[c] * (100 if shape.share else 1) for c in _METRICS})
    return draw(
        f"axis_{file_name(axis)}",
        f"Test {shape.metric} by {axis_name(axis)}",
        lambda ax: plot_axis(
            scaled, ax, axis=axis_name(axis), metric=shape.heading, arms=results.arms()
        ),
        frame,
        alt=f"{shape.heading} from the first to the last value of {axis_name(axis)}: {said}.",
    )


_METRICS = ("test", "low", "high")


def _table(results: Results, frame: pd.DataFrame, axis: str, shape: Shape) -> Table:
    values = ordered(frame["value"].unique())
    rows: list[dict[str, Any]] = []
    for arm, own in frame.groupby("arm", sort=False):
        row: dict[str, Any] = {"name": arm_name(str(arm)), "arm": arm}
        cells = {cell["value"]: cell for cell in own.to_dict("records")}
        for value in values:
            cell = cells.get(value, {"test": math.nan})
            row[value] = cell["test"]
            row[f"{value} note"] = _note(cell, shape)
        rows.append(row)
    columns = [Column("name", "Arm", numeric=False)]
    columns += [
        Column(v, f"{axis_name(axis)} = {v}", shape.value, note=f"{v} note") for v in values
    ]
    title = f"{shape.heading} by {axis_name(axis)}"
    return Table(f"axis_{file_name(axis)}", title, pd.DataFrame(rows), columns)


def _note(cell: dict[str, Any], shape: Shape) -> str:
    if "trials" not in cell:
        return "not run"
    if cell["missing"]:
        return f"{cell['trials']} of {cell['trials'] + cell['missing']} trials"
    if cell["low"] == cell["high"]:
        return ""
    return f"{shape.value(cell['low'])} to {shape.value(cell['high'])}"
