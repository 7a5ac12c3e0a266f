"""The sections of a comparison of sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.figures.maps import plot_similarity
from analysis.options import ReportOptions
from analysis.questions.headline import configurations
from analysis.questions.histories import similarity_table
from analysis.questions.methods.strategies import strategy_frame, sweep_names
from analysis.questions.methods.targets import target_table, time_to_targets
from analysis.questions.speedups import fixed_accuracy_speedups, speedup_table
from analysis.questions.verdict import verdict
from analysis.results.load import Results
from analysis.results.settings import dataset_of, setting
from analysis.sections.methods.fractions import choosing_section
from analysis.sections.methods.strategies import COMPLETE_CELLS, strategy_plots
from analysis.sections.methods.strategy_tables import strategy_tables
from analysis.sections.plots import draw, file_name
from analysis.sections.selection import similarity_of
from analysis.sections.shape import Shape
from analysis.sections.speed import value_order
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, axis_name, difference, interval, number, times

Make = Callable[[Sequence[Results], ReportOptions], Section | None]


def summary(sweeps: Sequence[Results], options: ReportOptions) -> list[str]:
    """How often replay beat random batches, sweep by sweep."""
    found = [verdict(s, level=options.level, resamples=options.resamples) for s in sweeps]
    counts = {
        words: sum(v.outcome == outcome for v in found)
        for outcome, words in (
            ("better", "better beyond the noise"),
            ("worse", "worse beyond the noise"),
            ("no difference", "no difference beyond the noise"),
            ("unknown", "not known"),
        )
    }
    said = "; ".join(f"{words} in {n} of {len(sweeps)}" for words, n in counts.items() if n)
    return [f"Replay against random batches of the same size, sweep by sweep: {said}."]


def warnings(sweeps: Sequence[Results]) -> list[str]:
    """What is missing where: arms that other sweeps have, and each sweep's own notes."""
    union = list(dict.fromkeys(arm for sweep in sweeps for arm in sweep.arms()))
    said = []
    for sweep, name in zip(sweeps, sweep_names(sweeps), strict=True):
        lacking = [arm_name(arm) for arm in union if arm not in sweep.arms()]
        if lacking:
            said.append(f"{name} has no {', no '.join(lacking)}.")
        said += [f"{name}: {note}" for note in sweep.notes]
    return said


def sweeps_section(sweeps: Sequence[Results], options: ReportOptions) -> Section:
    """Each sweep and its verdict."""
    rows = []
    for results, name in zip(sweeps, sweep_names(sweeps), strict=True):
        said = verdict(results, level=options.level, resamples=options.resamples)
        fractions = setting(results.search, results.sweep, "fraction")
        fractions = fractions[results.search["arm"] != "full"].dropna()
        lost = difference(results, said.accuracy.estimate) if said.accuracy else "–"
        scale = 100.0 if results.is_share else 1.0
        rows.append(
            {
                "name": name,
                "folder": str(results.folder),
                "dataset": dataset_of(results.sweep),
                "fraction": ", ".join(f"{100 * float(f):g}%" for f in sorted(set(fractions))),
                "configurations": configurations(results),
                "seeds": results.search["seed"].nunique(),
                "trials": len(results.trials),
                "arms": ", ".join(arm_name(arm) for arm in results.arms()),
                "outcome": said.outcome,
                "difference": lost,
                "interval": interval(scale * said.accuracy.low, scale * said.accuracy.high)
                if said.accuracy
                else "",
            }
        )
    columns = [
        Column("name", "Sweep", numeric=False),
        Column("dataset", "Data", numeric=False),
        Column("fraction", "Fractions", numeric=False),
        Column("configurations", "Configurations", count),
        Column("seeds", "Seeds", count),
        Column("trials", "Trials", count),
        Column("arms", "Arms", numeric=False, wrap=True),
        Column("outcome", "Replay against random", numeric=False),
        Column("difference", "Difference in test metric", numeric=False, note="interval"),
    ]
    table = Table("sweeps", "The sweeps", pd.DataFrame(rows), columns)
    return Section("sweeps", "The sweeps", (), (table,))


def speed_section(sweeps: Sequence[Results], options: ReportOptions) -> Section | None:
    """Cai et al., Tables 1-3: an axis per table, a row per sweep and arm."""
    frames = []
    for results, name in zip(sweeps, sweep_names(sweeps), strict=True):
        if "full" not in results.arms():
            continue
        speedups = fixed_accuracy_speedups(results)
        # A seed runs one configuration: a row of one cell that no paper's table has.
        speedups = speedups[speedups["arm"] != "seed"]
        for axis in results.axes:
            frames.append(speedup_table(speedups, axis).assign(sweep=name, axis=axis))
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return None
    long = pd.concat(frames, ignore_index=True)
    tables = [_axis(str(axis), own) for axis, own in long.groupby("axis", sort=False)]
    text = (
        "The time at which full training of the same configuration and seed first surpassed the "
        "arm's final test value, over the arm's whole time; both by the papers' own measure, "
        "training plus selection."
    )
    return Section("speed", "Speed at equal accuracy", (text,), tuple(tables))


def _axis(axis: str, long: pd.DataFrame) -> Table:
    values = sorted(long["value"].unique(), key=value_order)
    rows: list[dict[str, Any]] = []
    for (sweep, arm), own in long.groupby(["sweep", "arm"], sort=False):
        row: dict[str, Any] = {"sweep": sweep, "arm": arm, "name": arm_name(str(arm))}
        for value in values:
            cell = own[own["value"] == value]
            row[value] = float(cell["speedup"].iloc[0]) if len(cell) else math.nan
            row[f"{value} note"] = str(cell["note"].iloc[0]) if len(cell) else "not run"
        rows.append(row)
    columns = [Column("name", "Arm", numeric=False), Column("sweep", "Sweep", numeric=False)]
    columns += [Column(v, f"{axis_name(axis)} = {v}", times, note=f"{v} note") for v in values]
    title = f"Fixed-accuracy speed-up by {axis_name(axis)}"
    return Table(f"speedup_{file_name(axis)}", title, pd.DataFrame(rows), columns)


def strategies_section(sweeps: Sequence[Results], options: ReportOptions) -> Section | None:
    """Killamsetty et al. and Zhang et al.; sweeps of different metrics in tables of their own."""
    metrics = list(dict.fromkeys((s.metric, s.mode) for s in sweeps))
    items: list[Table | Plot] = []
    for metric, mode in metrics:
        chosen = [s for s in sweeps if (s.metric, s.mode) == (metric, mode)]
        frame = strategy_frame(chosen)
        if frame.empty:
            continue
        shape = Shape.of(chosen)
        arms = list(dict.fromkeys(arm for s in chosen for arm in s.arms()))
        made: list[Table | Plot] = [*strategy_tables(frame, shape)]
        made += strategy_plots(frame, shape, arms)
        if len(metrics) > 1:
            suffix = f"_{file_name(metric)}"
            made = [
                replace(item, name=item.name + suffix, title=f"{item.title} ({shape.metric})")
                for item in made
            ]
        items += made
    if not items:
        return None
    texts = [COMPLETE_CELLS]
    if len(metrics) > 1:
        named = ", ".join(metric.replace("_", " ") for metric, _ in metrics)
        texts.append(f"The sweeps report different metrics ({named}): each has its own tables.")
    return Section("strategies", "Strategies by data set and fraction", tuple(texts), tuple(items))


def targets_section(sweeps: Sequence[Results], options: ReportOptions) -> Section | None:
    """Jiang et al., Table 1: a row per sweep and arm."""
    rows: list[dict[str, Any]] = []
    factors: set[float] = set()
    for results, name in zip(sweeps, sweep_names(sweeps), strict=True):
        times_to = time_to_targets(results)
        long = target_table(times_to)
        factors |= set(long["factor"])
        for arm, own in long.groupby("arm", sort=False):
            final = times_to.loc[times_to["arm"] == arm, "final_error"].mean()
            row: dict[str, Any] = {"name": arm_name(str(arm)), "arm": arm, "sweep": name}
            row |= {"dataset": dataset_of(results.sweep), "final_error": final}
            for cell in own.to_dict("records"):
                key = f"{cell['factor']:g}"
                row[key] = cell["speedup"]
                row[f"{key} note"] = (
                    ""
                    if cell["reached"] == cell["trials"]
                    else f"{cell['reached']} of {cell['trials']} reached it"
                )
            rows.append(row)
    if not rows:
        return None
    keys = [f"{factor:g}" for factor in sorted(factors)]
    columns = [
        Column("name", "Arm", numeric=False),
        Column("sweep", "Sweep", numeric=False),
        Column("final_error", "Final error of full training", number),
        *(Column(k, f"to {k} × final error", times, note=f"{k} note") for k in keys),
    ]
    table = Table("targets", "Speed-up to a given error", pd.DataFrame(rows), columns)
    return Section("targets", "Time to a given error", (), (table,))


def similarity_section(sweeps: Sequence[Results], options: ReportOptions) -> Section | None:
    """Cai et al., Table 5, over the histories of all sweeps on the same training set."""
    found = {(s.folder, h.key): h for s in sweeps for h in s.histories if h.intervals}
    histories = list(found.values())
    frame = similarity_table(histories)
    if frame.empty:
        return None
    items: list[Table | Plot] = [similarity_of("similarity", "Similarity of w-scores", frame)]
    names = len({*frame["first"], *frame["second"]})
    if 3 <= names <= 12:
        said = "; ".join(f"{r.first} and {r.second} {r.cosine:.2f}" for r in frame.itertuples())
        items.append(
            draw(
                "similarity",
                "Cosine similarity of w-scores",
                lambda ax: plot_similarity(frame, ax),
                frame,
                alt=f"Cosine similarity of w-scores: {said}.",
                height=1.6 + 0.45 * names,
            )
        )
    text = "Histories of different training sets are not compared: their indices differ."
    return Section("similarity", f"What {len(histories)} seeds select", (text,), tuple(items))


SECTIONS: tuple[Make, ...] = (
    sweeps_section,
    choosing_section,
    speed_section,
    strategies_section,
    targets_section,
    similarity_section,
)
