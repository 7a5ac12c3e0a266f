"""Time to target errors, Pareto shares (Jiang et al.) and time per epoch (Cai et al., eq. 3)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.figures.bars import plot_gradient_errors
from analysis.figures.points import plot_pareto
from analysis.load import Results
from analysis.options import ReportOptions
from analysis.sections.plots import draw
from analysis.tables import Column, Plot, Section, Table, count
from analysis.targets import (
    epoch_time_table,
    pareto_points,
    pareto_shares,
    target_table,
    time_to_targets,
)
from analysis.words import arm_name, metric_value, seconds, times


def section(results: Results, options: ReportOptions) -> Section | None:
    """As far as the data have targets, a front, or scheduled selectors."""
    items: list[Table | Plot] = []
    items += _targets(results)
    items += _pareto(results)
    items += _epoch_times(results)
    texts = [
        "Seconds are training plus selection. A target error is a multiple of the matching full "
        "run's final test error."
    ]
    items += _gradient_quality(results, texts)
    if not items:
        return None
    return Section("targets", "Time to a given error", tuple(texts), tuple(items), open=False)


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


GRADIENT_QUALITY_FILE = "gradient_quality.csv"


def _gradient_quality(results: Results, texts: list[str]) -> list[Plot]:
    """Balles et al., Fig. 3, where its measurements lie in the results folder."""
    path = results.folder / GRADIENT_QUALITY_FILE
    if not path.exists():
        return []
    try:
        frame = pd.read_csv(path)
        frame = frame.rename(columns={"strategy": "arm"})
        frame["squared_error"] = frame["relative_squared_error"].astype(float)
        frame["arm"] = frame["arm"].astype(str)
    except (OSError, ValueError, KeyError) as error:
        texts.append(f"{GRADIENT_QUALITY_FILE} could not be read ({error}).")
        return []
    medians = frame.groupby("arm", sort=False)["squared_error"].median()
    said = "; ".join(f"{arm_name(str(arm))} {value:.3g}" for arm, value in medians.items())
    return [
        draw(
            "gradient_quality",
            "Gradient estimates of mini-batch strategies",
            lambda ax: plot_gradient_errors(frame, ax, share_of="Share of mini-batches"),
            frame,
            alt=f"Distribution of squared relative errors of gradient estimates. Medians: {said}.",
            caption="Left is better: of the chosen examples' gradient against that of all training "
            "examples, relative to it.",
        )
    ]


def _epoch_times(results: Results) -> list[Table]:
    frame = epoch_time_table(results)
    if frame.empty:
        return []
    frame = frame.assign(name=frame["arm"].map(arm_name))
    grouped = frame.groupby(["name", "arm", "start", "end", "interrupt"], dropna=False, sort=False)
    table = grouped.agg(
        trials=("trial_id", "size"),
        seconds=("seconds", "mean"),
        test=("test", "mean"),
        t_diff_s=("t_diff_s", "mean"),
    ).reset_index()

    def metric(value: float) -> str:
        return metric_value(results, value)

    columns = [
        Column("name", "Arm", numeric=False),
        Column("start", "From", lambda v: f"{100 * v:g}%"),
        Column("end", "To", lambda v: f"{100 * v:g}%"),
        Column("interrupt", "Interrupt", count),
        Column("test", f"Test {results.metric.replace('_', ' ')}", metric),
        Column("seconds", "Train + select", seconds),
        Column("t_diff_s", "Saved per epoch", seconds),
        Column("trials", "Trials", count),
    ]
    notes = [
        "Saved per epoch: mean seconds of an epoch outside the selection's part of the run minus "
        "mean seconds of one inside it (t_diff)."
    ]
    return [Table("epoch_times", "Selection in a part of the run", table, columns, notes)]
