"""Tables by strategy and fraction (Killamsetty et al., 2 and 5-11; Zhang et al., 3 and 4)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.methods.strategies import (
    GROUP,
    average_ranks,
    by_fraction,
    complete_cells,
    seed_deviation,
)
from analysis.sections.methods.fraction_tables import (
    Form,
    fractions_of,
    groups,
    missing_notes,
    named_table,
    wide_table,
    with_absent,
)
from analysis.sections.shape import Shape
from analysis.statistics.significance import wilcoxon_table
from analysis.tables import Column, Table, count
from analysis.words import arm_name, number, seconds, times

STATIC = ("facility_location", "entropy", "forgetting")
"""Selectors that choose once (Table 11)."""


def strategy_tables(frame: pd.DataFrame, shape: Shape) -> list[Table]:
    """As many of the papers' tables as the data allow.

    Args:
        frame: The result of :func:`analysis.questions.methods.strategies.strategy_frame`.
        shape: The shape of its test metric.
    """
    whole = frame[frame["arm"] != "seed"]
    cells = complete_cells(frame)
    # Full training selects nothing, and neither does one that is stopped early.
    subsets = frame[frame["selector"] != "full"]
    unused = subsets.assign(never_used=100 * subsets["never_used"])
    fractions = subsets.loc[subsets["arm"] != "seed", "fraction"].nunique()
    if fractions < 2 and len(whole[["dataset", "model"]].drop_duplicates()) == 1:
        made = [_compact(frame, cells, shape), _wilcoxon(whole, shape)]
        return [table for table in made if table is not None]
    variants = whole["selector"].str.startswith("gradmatch")
    static = whole["selector"].isin(STATIC)
    made = [
        wide_table("strategy_accuracy", shape.heading, cells, "test", shape.value, whole),
        wide_table("strategy_time", "Train + select time", cells, "seconds", seconds, whole),
        wide_table("strategy_energy", "Energy (kWh)", cells, "kwh", number, whole),
        wide_table(
            "strategy_speedup",
            "Speed-up over full, papers' measure",
            cells,
            "speedup",
            times,
            whole,
        ),
        _deviation(whole, shape),
        wide_table("gradient_error", _ERROR, _with_random(subsets), "gradient_error", number),
        wide_table("never_used", "Training examples never used (%)", unused, "never_used", number),
        _variants("gradmatch_variants", "Variants of GradMatch", cells, whole[variants], shape),
        _variants(
            "static_baselines",
            "Subsets chosen once, beside GradMatch",
            cells,
            whole[static | variants] if static.any() else whole[static],
            shape,
        ),
        *_ranks(cells, shape),
        _wilcoxon(whole, shape),
    ]
    return [table for table in made if table is not None]


_ERROR = "Relative gradient error, mean over selections"


def _compact(frame: pd.DataFrame, cells: pd.DataFrame, shape: Shape) -> Table:
    """All values of a sweep with one fraction in one table, a row per strategy."""
    per_arm = frame[frame["arm"] != "seed"].groupby("arm", sort=False)
    shared = cells.groupby("arm", sort=False)
    deviation = seed_deviation(frame)
    spread = pd.Series(dtype=float)
    if len(deviation):
        numbers = deviation.drop(columns=["dataset", "model"]).set_index("arm")
        spread = numbers.bfill(axis=1).iloc[:, 0]
    table = pd.DataFrame(
        {
            "test": shared["test"].mean(),
            "deviation": spread,
            "seconds": shared["seconds"].mean(),
            "speedup": shared["full_seconds"].sum(min_count=1) / shared["seconds"].sum(),
            "kwh": shared["kwh"].mean(),
            "gradient_error": per_arm["gradient_error"].mean(),
            "random_gradient_error": per_arm["random_gradient_error"].mean(),
            "never_used": 100 * per_arm["never_used"].mean(),
        }
    ).reindex(list(per_arm.groups))
    table = table.rename_axis("arm").reset_index()
    table.insert(0, "name", table["arm"].map(arm_name))
    unit = f" ({shape.points_unit})" if shape.points_unit else ""
    columns = [
        Column("test", shape.heading, shape.value),
        Column("deviation", f"SD over seeds{unit}", shape.points),
        Column("seconds", "Train + select", seconds),
        Column("speedup", "Speed-up over full, papers' measure", times),
        Column("kwh", "Energy (kWh)", number),
        Column("gradient_error", "Gradient error", number),
        Column("random_gradient_error", "Same, random subset", number),
        Column("never_used", "Never used (%)", number),
    ]
    shown = [column for column in columns if table[column.key].notna().any()]
    for column in shown:
        reason = "no result that counts" if column.key in ("test", "speedup") else "not measured"
        table[f"{column.key} note"] = np.where(table[column.key].isna(), reason, "")
    shown = [replace(column, note=f"{column.key} note") for column in shown]
    first = Column("name", "Strategy", numeric=False)
    return Table("strategies", "Strategies: means over trials", table, [first, *shown])


def _deviation(frame: pd.DataFrame, shape: Shape) -> Table | None:
    wide = seed_deviation(frame)
    if wide.empty:
        return None
    unit = f" ({shape.points_unit})" if shape.points_unit else ""
    title = f"Standard deviation over training seeds{unit}, within configurations"
    return named_table("seed_deviation", title, wide, "deviation", shape.points, frame)


def _variants(
    name: str, title: str, cells: pd.DataFrame, own: pd.DataFrame, shape: Shape
) -> Table | None:
    """Accuracy and time of some strategies alone, beside each other."""
    arms = own["arm"].unique()
    rows = cells[cells["arm"].isin(arms)]
    heading = f"{title}: {shape.heading[0].lower()}{shape.heading[1:]} and time"
    accuracy, time = by_fraction(rows, "test"), by_fraction(rows, "seconds")
    if len(arms) < 2 or accuracy.empty:
        return None
    fractions = fractions_of(accuracy)
    wide = with_absent(accuracy.merge(time, on=GROUP, suffixes=("", " time")), own)
    for fraction in fractions:
        wide[f"{fraction} note"] = missing_notes(wide, fraction, "test", own)
    columns = [Column("name", "Strategy", numeric=False), *groups(wide)]
    columns += [Column(f, f, shape.value, note=f"{f} note") for f in fractions]
    columns += [Column(f"{f} time", f"{f}, time", seconds, note=f"{f} note") for f in fractions]
    return Table(name, heading, wide.assign(name=wide["arm"].map(arm_name)), columns)


def _with_random(frame: pd.DataFrame) -> pd.DataFrame:
    """The random subsets measured beside the selections, as a strategy of their own."""
    beside = frame.dropna(subset=["random_gradient_error"])
    random = beside.assign(
        arm="random subsets of the same size", gradient_error=beside["random_gradient_error"]
    )
    return pd.concat([frame, random], ignore_index=True)


def _ranks(cells: pd.DataFrame, shape: Shape) -> list[Table]:
    """Zhang et al., Tables 3 and 4: a row per strategy, or per data set where there are several."""
    ranks = average_ranks(cells, larger_is_better=shape.sign > 0)
    if ranks.empty or ranks["tried"].max() < 2:
        return []
    ranks = ranks.assign(
        name=ranks["arm"].map(arm_name),
        note=[_ranked_note(row) for row in ranks.to_dict("records")],
    )
    notes = [
        "1 is the best. Ranked at each fraction that every strategy ran at, then averaged; full "
        "training takes part at each with its one value."
    ]
    title, heading = "Average rank over fractions", f"{shape.heading}, mean over fractions"
    if len(ranks[["dataset", "model"]].drop_duplicates()) == 1:
        columns = [
            Column("name", "Strategy", numeric=False),
            Column("rank", "Average rank", "{:.2f}".format, note="note"),
            Column("test", heading, shape.value, note="note"),
            Column("fractions", "Fractions", count),
        ]
        return [Table("average_ranks", title, ranks, columns, notes)]
    return [
        _by_dataset("average_ranks", title, ranks, "rank", "{:.2f}".format, notes),
        _by_dataset("average_metric", heading, ranks, "test", shape.value, ()),
    ]


def _ranked_note(row: dict[Hashable, Any]) -> str:
    if not row["fractions"]:
        return "no fraction that every strategy ran at"
    return f"without {row['missing']}" if row["missing"] else ""


def _by_dataset(
    name: str, title: str, ranks: pd.DataFrame, value: str, form: Form, notes: Sequence[str]
) -> Table:
    """A row per data set and model, a column per strategy, as the paper prints them."""
    arms = list(dict.fromkeys(ranks["arm"]))
    rows = []
    for (dataset, model), own in ranks.groupby(["dataset", "model"], sort=False):
        by_arm = own.set_index("arm")
        row: dict[str, Any] = {"dataset": dataset, "model": model}
        for arm in arms:
            row[arm] = float(by_arm.at[arm, value]) if arm in by_arm.index else math.nan
            row[f"{arm} note"] = by_arm.at[arm, "note"] if arm in by_arm.index else "not run"
        rows.append(row)
    frame = pd.DataFrame(rows)
    columns = [Column("dataset", "Data", numeric=False)]
    if frame["model"].nunique() > 1:
        columns.append(Column("model", "Model", numeric=False))
    columns += [Column(arm, arm_name(arm), form, note=f"{arm} note") for arm in arms]
    return Table(name, title, frame, columns, notes)


def _wilcoxon(frame: pd.DataFrame, shape: Shape) -> Table | None:
    tests = wilcoxon_table(frame, larger_is_better=shape.sign > 0)
    turned = tests.rename(columns={"better": "worse", "worse": "better", "p": "p_reverse"})
    tests = tests.merge(turned[["better", "worse", "p_reverse"]], on=["better", "worse"])
    tests = tests[(tests["pairs"] >= 5) & (tests["p"] <= tests["p_reverse"])]
    if tests.empty:
        return None
    tests = tests.sort_values("p", ignore_index=True)
    tests = tests.assign(name=tests["better"].map(arm_name), other=tests["worse"].map(arm_name))
    unit = f" ({shape.points_unit})" if shape.points_unit else ""
    columns = [
        Column("name", "Strategy", numeric=False),
        Column("other", "better than", numeric=False),
        Column("p", "p, one-tailed", p_value),
        Column("p_reverse", "p, the reverse", p_value),
        Column("p_holm", "p, Holm", p_value),
        Column("pairs", "Pairs", count),
        Column("median_difference", f"Median difference{unit}", shape.points),
    ]
    notes = [
        "Wilcoxon signed-rank tests on differences paired by dataset, fraction, configuration and "
        "seed, for strategies with at least 5 non-zero differences; Holm: adjusted for the number "
        "of tests. They take the pairs as independent, which configurations of one sweep are "
        "not, sharing data, seeds and history: where they see a difference and the bootstrap "
        "intervals above do not, trust the intervals."
    ]
    return Table("wilcoxon", "Is one strategy better than another?", tests, columns, notes)


def p_value(value: float) -> str:
    """A p-value with two digits, or an upper bound."""
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
