"""Time to target errors and Pareto shares (Jiang et al.)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.figures.points import plot_pareto
from analysis.options import ReportOptions
from analysis.questions.methods.targets import (
    pareto_points,
    pareto_shares,
    target_table,
    time_to_targets,
)
from analysis.results.load import Results
from analysis.sections.plots import draw
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, times


def section(results: Results, options: ReportOptions) -> Section | None:
    """As far as the data have targets or a front."""
    items: list[Table | Plot] = [*_targets(results), *_pareto(results)]
    if not items:
        return None
    text = (
        "Seconds are training plus selection. A target error is a multiple of the matching full "
        "run's final test error."
    )
    return Section("targets", "Time to a given error", (text,), tuple(items), open=False)


def _targets(results: Results) -> list[Table]:
    times_to = time_to_targets(results)
    long = target_table(times_to)
    if long.empty:
        return []
    rows: list[dict[str, Any]] = []
    factors = sorted(long["factor"].unique())
    for arm, own in long.groupby("arm", sort=False):
        row: dict[str, Any] = {"arm": arm, "name": arm_name(str(arm))}
        for cell in own.to_dict("records"):
            key = f"{cell['factor']:g}"
            row[key] = cell["speedup"]
            reached, trials = cell["reached"], cell["trials"]
            row[f"{key} note"] = "" if reached == trials else f"{reached} of {trials} reached it"
        rows.append(row)
    columns = [Column("name", "Arm", numeric=False)]
    columns += [
        Column(f"{f:g}", f"to {f:g} × final error", times, note=f"{f:g} note") for f in factors
    ]
    notes = [
        "Speed-up over full training to the same error, geometric mean over the trials that "
        "reached it; an arm that few trials reached a target with looks faster than it is."
    ]
    title = "Speed-up to multiples of full training's final error"
    return [Table("targets", title, pd.DataFrame(rows), columns, notes)]


def _pareto(results: Results) -> list[Table | Plot]:
    points = pareto_points(results)
    if len(points) < 2 or points["seconds"].max() <= 0:
        return []
    shares = pareto_shares(points)
    shares = shares.assign(name=shares["arm"].map(arm_name))
    columns = [
        Column("name", "Arm", numeric=False),
        Column("share", "Share of the Pareto front", lambda v: f"{100 * v:.0f}%"),
        Column("points", "Points", count),
    ]
    said = "; ".join(f"{arm_name(str(r.arm))} {100 * r.share:.0f}%" for r in shares.itertuples())
    return [
        Table("pareto", "Who offers the best trade-offs of time and error", shares, columns),
        draw(
            "pareto",
            "Best test error for a trial's seconds",
            lambda ax: plot_pareto(points, ax, arms=results.arms()),
            points,
            alt=f"Pareto front of test error against seconds over every epoch of every trial. "
            f"Shares of its points: {said}.",
            caption="Every epoch of every trial is an offer; drawn are those that no other beats.",
        ),
    ]
