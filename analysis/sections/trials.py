"""Every trial, and those that failed by name."""

from __future__ import annotations

import pandas as pd

from analysis.options import ReportOptions
from analysis.results.load import Results
from analysis.results.outcomes import DIVERGED, FAILED, UNFINISHED
from analysis.results.settings import PREFIX, label_of
from analysis.tables import Column, Section, Table, count
from analysis.words import arm_name, axis_name, bar_name, metric_value, seconds


def section(results: Results, options: ReportOptions) -> Section:
    """All trials of all phases."""
    trials = results.trials
    frame = pd.DataFrame(
        {
            "trial_id": trials["trial_id"],
            "arm": trials["arm"],
            "name": [
                bar_name(arm, phase)
                for arm, phase in zip(trials["arm"], trials["phase"], strict=True)
            ],
            "phase": trials["phase"],
            "configuration": trials["configuration"],
            "seed": trials["seed"],
            **{axis: trials[PREFIX + axis].map(label_of) for axis in results.axes},
            "epochs": trials["epochs"],
            "val": trials["val"],
            "test": trials["test"],
            "slot_s": trials["slot_s"],
            "seconds": trials["seconds"],
            "outcome": trials["outcome"],
            "error": trials["error"],
        }
    )

    def metric(value: float) -> str:
        return metric_value(results, value)

    columns = [
        Column("trial_id", "Trial", numeric=False),
        Column("name", "Arm", numeric=False),
        Column("configuration", "Configuration", count),
        Column("seed", "Seed", count),
        *(Column(axis, axis_name(axis), numeric=False) for axis in results.axes),
        Column("epochs", "Epochs", count),
        Column("val", "Best validation", metric),
        Column("test", "Test there", metric),
        Column("slot_s", "Slot time", seconds),
        Column("seconds", "Train + select", seconds),
        Column("outcome", "Outcome", numeric=False, note="error"),
    ]
    return Section(
        "trials", "All trials", (), (Table("trials", "All trials", frame, columns),), open=False
    )


def warnings(results: Results) -> list[str]:
    """Sentences on what failed and what had to be assumed."""
    found = []
    trials = results.trials
    for outcome, words in (
        (DIVERGED, "diverged: they rank last and enter no mean"),
        (FAILED, "failed: they rank last and enter no mean"),
        (UNFINISHED, "did not finish: they enter nothing"),
    ):
        rows = trials[trials["outcome"] == outcome]
        if len(rows):
            names = [f"{r.trial_id} ({arm_name(r.arm)})" for r in rows.head(8).itertuples()]
            more = f" and {len(rows) - 8} more" if len(rows) > 8 else ""
            found.append(f"{len(rows)} of {len(trials)} trials {words}: {', '.join(names)}{more}.")
    return [*found, *results.notes]
