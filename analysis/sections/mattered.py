"""What mattered: importances of the keys that vary, and configurations as lines through them."""

from __future__ import annotations

import pandas as pd

from analysis.figures.parallel import plot_parallel
from analysis.options import ReportOptions
from analysis.questions.mattered import mattered, points_of, telling_arms
from analysis.results.load import Results
from analysis.sections.plots import draw
from analysis.sections.shape import Shape
from analysis.statistics.importance import FEWEST, can_be_computed
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, axis_name

_SURE = 0.05
_FEWEST_LINES = 4


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where two keys or more vary."""
    arms = telling_arms(results)
    points = {arm: points_of(results, arm) for arm in arms}
    drawn = next((arm for arm in arms if points[arm].shape[1] > 3), None)
    if drawn is None:
        return None
    frame = mattered(results)
    items: list[Table | Plot] = []
    if len(points[drawn]) >= _FEWEST_LINES:
        items.append(_plot(results, points[drawn], drawn))
    if len(frame):
        items.append(_table(frame))
    return Section("mattered", "What mattered", (_sentence(frame, points[drawn]),), tuple(items))


def _sentence(frame: pd.DataFrame, points: pd.DataFrame) -> str:
    if not can_be_computed():
        return "Which keys mattered is not computed: it takes Optuna, which is not installed here."
    if frame.empty:
        return (
            f"Which keys mattered cannot be told from {len(points)} configurations: it takes "
            f"{FEWEST} with different results."
        )
    said = []
    for arm, own in frame.groupby("arm", sort=False):
        sure = own[own["chance"] <= _SURE]
        named = ", ".join(
            f"{axis_name(row['axis'])} ({100 * row['importance']:.0f}%)"
            for row in sure.to_dict("records")
        )
        name = arm_name(str(arm))
        n = int(own["configurations"].iloc[0])
        if named:
            said.append(f"By {name}, on {n} configurations, what mattered was {named}.")
        else:
            said.append(f"By {name}, on {n} configurations, no key stands out from chance.")
    return " ".join(said)


def _table(frame: pd.DataFrame) -> Table:
    frame = frame.assign(
        name=frame["arm"].map(arm_name),
        key=frame["axis"].map(axis_name),
        beyond=["yes" if chance <= _SURE else "no" for chance in frame["chance"]],
    )
    columns = [
        Column("key", "Key", numeric=False),
        Column("name", "Judged by", numeric=False),
        Column("configurations", "Configurations", count),
        Column("importance", "Importance", lambda v: f"{100 * v:.0f}%"),
        Column("beyond", "Beyond chance", numeric=False),
    ]
    notes = [
        "Importance: PED-ANOVA (Watanabe et al., 2023), how far the values of the best quarter of "
        "the configurations differ from those of all, each key by itself; interactions are not "
        "seen. Mean validation values over training seeds. Beyond chance: larger than with every "
        "one of 19 random assignments of the results to the configurations.",
    ]
    return Table("mattered", "Importance of the keys that vary", frame, columns, notes)


def _plot(results: Results, points: pd.DataFrame, arm: str) -> Plot:
    shape = Shape.of([results])
    keys = [str(column) for column in points.columns if column not in ("configuration", "val")]
    names = {key: axis_name(key) for key in keys}
    scaled = points.assign(val=points["val"] * (100 if shape.share else 1)).rename(columns=names)
    best = points.loc[(results.sign * points["val"]).idxmax()]
    said = ", ".join(f"{names[key]} {best[key]}" for key in keys)
    return draw(
        "parallel_coordinates",
        f"Configurations of {arm_name(arm)}",
        lambda ax: plot_parallel(
            scaled,
            ax,
            keys=[names[key] for key in keys],
            metric=f"Validation {shape.metric}",
            sign=results.sign,
        ),
        points,
        alt=f"{len(points)} configurations of {arm_name(arm)}; the best has {said}.",
        caption="A line per configuration; in colour the best quarter by validation.",
        height=3.4,
    )
