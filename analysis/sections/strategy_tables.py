"""Tables by strategy and fraction (Killamsetty et al., 2 and 5-11; Zhang et al., 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from analysis.sections.shape import Shape
from analysis.significance import wilcoxon_table
from analysis.strategies import (
    GROUP,
    average_ranks,
    by_fraction,
    complete_cells,
    seed_deviation,
)
from analysis.tables import Column, Table, count
from analysis.words import arm_name, number, seconds, times

Form = Callable[[float], str]

STATIC = ("facility_location", "entropy", "forgetting")
"""Selectors that choose once (Table 11)."""

_ALL = "100%"


def strategy_tables(frame: pd.DataFrame, shape: Shape) -> list[Table]:
    """As many of the papers' tables as the data allow.

    Args:
        frame: Of :func:`analysis.strategies.strategy_frame`.
        shape: Of its test metric.
    """
    whole = frame[frame["arm"] != "seed"]
    cells = complete_cells(frame)
    subsets = frame[frame["arm"] != "full"]
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
        wide_table("strategy_speedup", "Speed-up over full", cells, "speedup", times, whole),
        _deviation(whole, shape),
        wide_table("gradient_error", _ERROR, _with_random(subsets), "gradient_error", number),
        wide_table("never_used", "Training examples never used (%)", unused, "never_used", number),
        _variants("gradmatch_variants", "Variants of GradMatch", cells, whole[variants], shape),
        _variants("static_baselines", "Subsets chosen once", cells, whole[static], shape),
        _ranks(cells, shape),
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
        Column("speedup", "Speed-up over full", times),
        Column("kwh", "Energy (kWh)", number),
        Column("gradient_error", "Gradient error", number),
        Column("random_gradient_error", "Random subset's", number),
        Column("never_used", "Never used (%)", number),
    ]
    shown = [column for column in columns if table[column.key].notna().any()]
    first = Column("name", "Strategy", numeric=False)
    return Table("strategies", "Strategies: means over trials", table, [first, *shown])


def wide_table(
    name: str,
    title: str,
    frame: pd.DataFrame,
    value: str,
    form: Form,
    whole: pd.DataFrame | None = None,
) -> Table | None:
    """One value by strategy and fraction; ``None`` where nothing measured it.

    Args:
        name: File name.
        title: Heading.
        frame: Of :func:`analysis.strategies.strategy_frame`, the rows that count.
        value: Its column.
        form: From a value to text.
        whole: All rows, to say of a missing cell why it is missing.
    """
    wide = by_fraction(frame, value)
    if wide.empty:
        return None
    whole = frame if whole is None else whole
    absent = whole[GROUP].drop_duplicates().merge(wide[GROUP], how="left", indicator=True)
    absent = absent.loc[absent["_merge"] == "left_only", GROUP]
    wide = pd.concat([wide, absent], ignore_index=True)  # named with no value rather than dropped
    fractions = [column for column in wide.columns if column not in GROUP]
    for fraction in fractions:
        wide[f"{fraction} note"] = [
            _why(whole, row, fraction, value) if pd.isna(row[fraction]) else ""
            for row in wide.to_dict("records")
        ]
    return _wide(name, f"{title}, by fraction", wide, fractions, form)


def _wide(name: str, title: str, wide: pd.DataFrame, fractions: Sequence[str], form: Form) -> Table:
    wide = wide.assign(name=wide["arm"].map(arm_name))
    columns = [Column("name", "Strategy", numeric=False), *groups(wide)]
    columns += [
        Column(f, f if f != _ALL else "all data", form, note=f"{f} note") for f in fractions
    ]
    front = ["name", *GROUP, *fractions]
    rest = [column for column in wide.columns if column not in front]
    return Table(name, title, wide[[*front, *rest]], columns)


def _why(whole: pd.DataFrame, row: dict[str, object], fraction: str, value: str) -> str:
    """Why a cell is missing."""
    if (row["arm"] == "full") != (fraction == _ALL):
        return ""  # full training has no fraction, and no subset has all the data
    own = whole
    for key in GROUP:
        own = own[own[key] == row[key]]
    own = own[(own["fraction"] * 100).round(9) == float(fraction.rstrip("%"))]
    if own.empty:
        return "not run"
    return "not measured" if own[value].isna().all() else "not finished by every arm"


def groups(frame: pd.DataFrame) -> list[Column]:
    """Columns for dataset and model, where they differ."""
    return [
        Column(key, key.capitalize(), numeric=False)
        for key in ("dataset", "model")
        if frame[key].nunique() > 1
    ]


def _deviation(frame: pd.DataFrame, shape: Shape) -> Table | None:
    wide = seed_deviation(frame)
    if wide.empty:
        return None
    fractions = [column for column in wide.columns if column not in GROUP]
    for fraction in fractions:
        wide[f"{fraction} note"] = ""
    unit = f" ({shape.points_unit})" if shape.points_unit else ""
    title = f"Standard deviation over training seeds{unit}, within configurations"
    return _wide("seed_deviation", title, wide, fractions, shape.points)


def _variants(
    name: str, title: str, cells: pd.DataFrame, own: pd.DataFrame, shape: Shape
) -> Table | None:
    """Accuracy and time of some strategies alone, beside each other."""
    arms = own["arm"].unique()
    if len(arms) < (2 if name == "gradmatch_variants" else 1):
        return None
    rows = cells[cells["arm"].isin(arms)]
    heading = f"{title}: {shape.heading[0].lower()}{shape.heading[1:]} and time"
    accuracy, time = by_fraction(rows, "test"), by_fraction(rows, "seconds")
    if accuracy.empty:
        return None
    wide = accuracy.merge(time, on=GROUP, suffixes=("", " time"))
    fractions = [column for column in accuracy.columns if column not in GROUP]
    columns = [Column("name", "Strategy", numeric=False), *groups(wide)]
    columns += [Column(f, f, shape.value) for f in fractions]
    columns += [Column(f"{f} time", f"{f}, time", seconds) for f in fractions]
    return Table(name, heading, wide.assign(name=wide["arm"].map(arm_name)), columns)


def _with_random(frame: pd.DataFrame) -> pd.DataFrame:
    """The random subsets measured beside the selections, as a strategy of their own."""
    beside = frame.dropna(subset=["random_gradient_error"])
    random = beside.assign(
        arm="random subsets of the same size", gradient_error=beside["random_gradient_error"]
    )
    measured = frame[frame["gradient_error"].notna()]
    return pd.concat([measured, random], ignore_index=True)


def _ranks(cells: pd.DataFrame, shape: Shape) -> Table | None:
    ranks = average_ranks(cells, larger_is_better=shape.sign > 0)
    if ranks.empty or ranks["fractions"].max() < 2:
        return None
    ranks = ranks.assign(
        name=ranks["arm"].map(arm_name),
        left_out=[f"without {missing}" if missing else "" for missing in ranks["missing"]],
    )
    columns = [
        Column("name", "Strategy", numeric=False),
        *groups(ranks),
        Column("rank", "Average rank", "{:.2f}".format, note="left_out"),
        Column("test", shape.heading, shape.value),
        Column("fractions", "Fractions", count),
    ]
    notes = [
        "1 is the best. Ranked at each fraction that every strategy ran at, then averaged; full "
        "training takes part at each with its one value."
    ]
    return Table("average_ranks", "Average rank over fractions", ranks, columns, notes)


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
        "of tests. Configurations of one sweep share data and seeds, so that pairs are not "
        "strictly independent."
    ]
    return Table("wilcoxon", "Is one strategy better than another?", tests, columns, notes)


def p_value(value: float) -> str:
    """A p-value with two digits, or an upper bound."""
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
