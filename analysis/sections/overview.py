"""The decision table, and what each arm would have you use."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import pandas as pd

from analysis.options import ReportOptions
from analysis.questions.baselines import against_random, random_choice
from analysis.questions.headline import decision_table, replays, seed_seconds
from analysis.questions.turns import FEWEST, turn_of
from analysis.results.frames import START_UP
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX, label_of
from analysis.tables import Column, Section, Table, count
from analysis.words import arm_name, axis_name, interval, metric_value, minus, seconds, times


def section(results: Results, options: ReportOptions) -> Section:
    """Headline numbers by arm, and each arm's chosen configuration."""
    items = [_decision(results)]
    if not results.selection_only and results.search["configuration"].nunique() > 1:
        items.append(_choices(results))
    items += _against_random(results, options)
    return Section("arms", "Arms at a glance", (), tuple(items))


def _against_random(results: Results, options: ReportOptions) -> list[Table]:
    frame = against_random(results, level=options.level, resamples=options.resamples)
    if frame.empty:
        return []
    scale = 100.0 if results.is_share else 1.0
    baselines = list(dict.fromkeys(frame["baseline"].map(arm_name)))
    several = len(baselines) > 1
    baseline = "random subsets of its size" if several else baselines[0]
    frame = frame.assign(
        name=frame["arm"].map(arm_name),
        beside=frame["baseline"].map(arm_name),
        turns=[
            turn.said(results) if (turn := turn_of(results, arm, beside)) is not None else ""
            for arm, beside in zip(frame["arm"], frame["baseline"], strict=True)
        ],
        interval=[
            interval(scale * low, scale * high, "{:+.3g}")
            for low, high in zip(frame["low"], frame["high"], strict=True)
        ],
    )
    unit = " (pp)" if results.is_share else ""
    columns = [
        Column("name", "Arm", numeric=False),
        *([Column("beside", "Against", numeric=False)] if several else []),
        Column(
            "difference", f"Better by{unit}", lambda v: minus(f"{scale * v:+.3g}"), note="turns"
        ),
        Column("interval", f"{100 * options.level:g}% interval", numeric=False),
        Column("outcome", "Beyond the noise", numeric=False),
        Column("pairs", "Pairs", count),
    ]
    units = str(frame["resampled"].iloc[0])
    notes = [
        f"Mean paired difference of the test {_metric(results)}, signed so that more is better. "
        + (f"Resampled: {units}. " if units else "Too few runs for intervals. ")
        + "Of so many comparisons, one in twenty would look like a difference by chance.",
        *(
            [
                "Below a difference: values of an axis at which all pairs say the one, and values "
                f"at which all say the other. Of {FEWEST} pairs a quarter agree by chance."
            ]
            if frame["turns"].any()
            else []
        ),
        *filter(None, [] if several else [random_choice(results, str(frame["arm"].iloc[0]))]),
    ]
    return [Table("against_random", f"Each arm against {baseline}", frame, columns, notes)]


def _decision(results: Results) -> Table:
    frame = decision_table(results)
    frame = frame.assign(
        name=frame["arm"].map(arm_name),
        lost=[_lost(row) for row in frame.to_dict("records")],
        papers_note=[
            f"{times(paid)} with the seed" if math.isfinite(paid) else ""
            for paid in frame["speedup_with_seed"]
        ],
        pairs_note=[
            f"{pairs} pair{'s' if pairs > 1 else ''}" if pairs else "" for pairs in frame["pairs"]
        ],
    )

    def metric(value: float) -> str:
        return metric_value(results, value)

    columns = [
        Column("name", "Arm", numeric=False),
        Column("trials", "Trials", count, note="lost"),
        Column("total_s", "Slot time", seconds),
        Column("train_s", "Train", seconds),
        Column("select_s", "Select", seconds),
        Column("eval_s", "Evaluate", seconds),
        Column("wait_s", "Wait", seconds),
        *([Column(START_UP, "Start-up", seconds)] if frame[START_UP].notna().any() else []),
        Column("best", f"Best test {_metric(results)}", metric),
        Column("mean", f"Mean test {_metric(results)}", metric),
    ]
    notes = [
        "Best: the test value of the trial with the arm's best validation value, at the epoch of "
        "that best value. Slot time is how long all its trials held a slot, those that failed "
        "included: training, selection, evaluation, waiting, start-up and what lies between.",
    ]
    if (frame["arm"] == "full").any():
        # Beside the slot time, where they are seen without scrolling: they are the headline.
        columns[3:3] = [
            Column("waited_speedup", "Speed-up over full", times, note="pairs_note"),
            Column("speedup", "Papers' measure", times, note="papers_note"),
        ]
        notes.append(
            "Speed-up: slot time of full training over the arm's, on the pairs of configuration "
            "and seed that both finished. The papers' measure counts training and selection alone."
        )
        if frame["speedup_with_seed"].notna().any():
            notes.append(
                "An arm that replays pays for the seed trials it replays "
                f"({seconds(seed_seconds(results))} of slot time over all of them); the papers' "
                "measure is given without them, and below it with them."
            )
    else:
        notes.append("No full training in this sweep: no speed-up over it can be said.")
    if any(replays(results, arm) for arm in results.arms()) and "seed" not in results.arms():
        notes.append(
            "The history was given, not made in this sweep: what its seed trial cost is not here."
        )
    cells = int(frame["cells"].max()) if len(frame) else 0
    if cells:
        notes.append(
            f"Mean: over the {cells} pairs of configuration and seed that all arms but the "
            "seed finished."
        )
    else:
        notes.append("Mean: no pair of configuration and seed was finished by all arms.")
    return Table("arms", "What each arm cost and reached", frame, columns, notes)


def _metric(results: Results) -> str:
    return results.metric.replace("_", " ")


def _lost(row: dict[Hashable, Any]) -> str:
    words = [
        f"{int(row[key])} {word}"
        for key, word in (
            ("stopped", "stopped early"),
            ("diverged", "diverged"),
            ("failed", "failed"),
            ("unfinished", "unfinished"),
        )
        if row[key]
    ]
    return ", ".join(words)


def _choices(results: Results) -> Table:
    """Each arm's best configuration by validation, and what full training reaches there."""
    search = results.search
    full = search[(search["arm"] == "full") & search["outcome"].isin(USABLE)]
    full_test = full.groupby("configuration")["test"].mean()
    rows = []
    for arm in [arm for arm in results.arms() if arm != "seed"]:
        trials = search[(search["arm"] == arm) & search["outcome"].isin(USABLE)]
        if trials.empty:
            continue
        scores = (results.sign * trials["val"]).groupby(trials["configuration"]).mean()
        best = int(scores.idxmax())
        first = trials[trials["configuration"] == best].iloc[0]
        rows.append(
            {
                "arm": arm,
                "name": arm_name(arm),
                "configuration": best,
                "val": results.sign * float(scores.max()),
                "full_test": float(full_test.get(best, math.nan)),
                **{axis: label_of(first[PREFIX + axis]) for axis in results.axes},
            }
        )
    frame = pd.DataFrame(
        rows, columns=["arm", "name", "configuration", *results.axes, "val", "full_test"]
    )

    def metric(value: float) -> str:
        return metric_value(results, value)

    columns = [
        Column("name", "Arm", numeric=False),
        Column("configuration", "Configuration", count),
        *(Column(axis, axis_name(axis), numeric=False) for axis in results.axes),
        Column("val", f"Its validation {_metric(results)}", metric),
    ]
    if len(full):
        columns.append(Column("full_test", f"Full training there, test {_metric(results)}", metric))
    notes = ["Chosen by the best validation value, averaged over training seeds."]
    return Table("choices", "Which configuration each arm would choose", frame, columns, notes)
