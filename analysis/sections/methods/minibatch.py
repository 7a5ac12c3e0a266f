"""Selection inside the mini-batch: schedules, method weights, gradient estimates."""

from __future__ import annotations

import math
from typing import Any

from analysis.figures.lines import plot_method_weights
from analysis.figures.points import plot_schedules
from analysis.options import ReportOptions
from analysis.questions.methods.method_weights import load_traces, mean_weights
from analysis.questions.methods.schedules import SCHEDULE, epoch_time_table, schedule_points
from analysis.results.load import Results
from analysis.results.settings import PREFIX
from analysis.sections.methods.gradient_quality import gradient_quality
from analysis.sections.plots import draw, file_name
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, axis_values, metric_value, number, seconds

_MOST_PLOTS = 8


def section(results: Results, options: ReportOptions) -> Section | None:
    """As far as arms have a schedule, record method weights, or gradient errors were measured."""
    texts: list[str] = []
    items: list[Table | Plot] = [*_epoch_times(results), *_schedules(results)]
    items += _weights(results, texts)
    items += gradient_quality(results, texts)
    if not items and not texts:
        return None
    title = "Selection inside the mini-batch"
    return Section("minibatch", title, tuple(texts), tuple(items), open=False)


def _schedules(results: Results) -> list[Plot]:
    """The trade-off over start, end and interrupt; a single schedule has none."""
    points = schedule_points(results)
    if points[list(SCHEDULE)].drop_duplicates().shape[0] < 2:
        return []
    points = points.assign(family=[_family(results, row) for row in points.to_dict("records")])
    unit = "pp" if results.is_share else ""
    scale = 100.0 if results.is_share else 1.0
    metric = f"test {results.metric.replace('_', ' ')}"
    best = points[points["pareto"]].sort_values("saved")
    said = "; ".join(
        f"{row.family} from {row.start:g} to {row.end:g}, interrupt "
        f"{_whole_batches(float(row.interrupt))}: saves {100 * row.saved:.1f}%, "
        f"loses {number(scale * row.lost)} {unit}".rstrip()
        for row in best.itertuples()
    )
    return [
        draw(
            "schedules",
            "Time saved and metric lost, by schedule",
            lambda ax: plot_schedules(points, ax, metric=metric, scale=scale, unit=unit),
            points,
            alt=f"What each schedule loses of the {metric} against the share of full training's "
            f"seconds that it saves. On the front: {said}.",
            caption="Labels: start and end in per cent of the epochs, and every how many batches "
            "one is whole. Filled and joined: no other schedule is better in both. Bars: standard "
            "deviation over seeds.",
        )
    ]


def _family(results: Results, row: dict[str, Any]) -> str:
    """Points of one look: a selector, and where the space has axes, its configuration."""
    values = _values(results, int(row["configuration"]))
    return ", ".join([arm_name(str(row["selector"])), *([values] if values else [])])


def _weights(results: Results, texts: list[str]) -> list[Plot]:
    """How AdaSelection's vote went (Zhang et al., Fig. 8), per arm and configuration."""
    traces, problems = load_traces(results)
    texts += problems
    frame = mean_weights(traces)
    plots: list[Plot] = []
    groups = list(frame.groupby(["arm", "configuration"], sort=False))
    for (arm, configuration), own in groups[:_MOST_PLOTS]:
        last = own.groupby("method", sort=False)["weight"].last()
        said = "; ".join(f"{arm_name(str(m))} {w:.2f}" for m, w in last.items())
        several = frame["configuration"].nunique() > 1
        where = f", {_values(results, int(configuration))}" if several else ""
        plots.append(
            draw(
                f"method_weights_{file_name(str(arm))}_{configuration}",
                f"Method weights: {arm_name(str(arm))}{where}",
                lambda ax, own=own: plot_method_weights(own, ax),  # type: ignore[misc]
                own,
                alt=f"Weights of the methods over the selections of {arm}. At the end: {said}.",
                caption="Mean over training seeds; bands: their range.",
            )
        )
    if len(groups) > _MOST_PLOTS:
        texts.append(f"Method weights are drawn for {_MOST_PLOTS} of {len(groups)}.")
    return plots


def _values(results: Results, configuration: int) -> str:
    """A configuration by its axes; empty where the space has none."""
    trial = results.search[results.search["configuration"] == configuration].iloc[0]
    axes = [axis for axis in results.axes if PREFIX + axis in trial]
    return axis_values({axis: trial[PREFIX + axis] for axis in axes})


def _epoch_times(results: Results) -> list[Table]:
    """Cai et al., Table 4 and eq. 3."""
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
        Column("interrupt", "Interrupt", _whole_batches),
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


def _whole_batches(value: float) -> str:
    return count(value) if math.isfinite(value) else "none"
