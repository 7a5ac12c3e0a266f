"""One value by strategy and fraction, as the papers print it; a cell that is missing says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from analysis.questions.methods.strategies import GROUP, by_fraction
from analysis.tables import Column, Table
from analysis.words import arm_name

Form = Callable[[float], str]

_ALL = "100%"


def wide_table(
    name: str,
    title: str,
    frame: pd.DataFrame,
    value: str,
    form: Form,
    whole: pd.DataFrame | None = None,
    *,
    notes: Sequence[str] = (),
) -> Table | None:
    """One value by strategy and fraction; ``None`` where nothing measured it.

    Args:
        name: File name.
        title: Heading.
        frame: The result of :func:`analysis.questions.methods.strategies.strategy_frame`, the rows
            that count.
        value: Its column.
        form: The function from a value to text.
        whole: All rows, to say of a missing cell why it is missing.
        notes: Below the table.
    """
    wide = by_fraction(frame, value)
    if wide.empty:
        return None
    return named_table(name, title, wide, value, form, frame if whole is None else whole, notes)


def named_table(
    name: str,
    title: str,
    wide: pd.DataFrame,
    value: str,
    form: Form,
    whole: pd.DataFrame,
    notes: Sequence[str] = (),
) -> Table:
    """A table whose every missing cell is named, with a row for every strategy of ``whole``.

    Args:
        name: File name.
        title: Heading.
        wide: The result of :func:`analysis.questions.methods.strategies.by_fraction`.
        value: Column of ``whole`` that it shows.
        form: The function from a value to text.
        whole: The result of :func:`analysis.questions.methods.strategies.strategy_frame`, all rows.
        notes: Below the table.
    """
    wide = with_absent(wide, whole)
    wide, said = _full_everywhere(wide)
    fractions = fractions_of(wide)
    for fraction in fractions:
        wide[f"{fraction} note"] = missing_notes(wide, fraction, value, whole)
    wide = wide.assign(name=wide["arm"].map(arm_name))
    columns = [Column("name", "Strategy", numeric=False), *groups(wide)]
    columns += [
        Column(f, f if f != _ALL else "all data", form, note=f"{f} note") for f in fractions
    ]
    front = ["name", *GROUP, *fractions]
    rest = [column for column in wide.columns if column not in front]
    title = f"{title}, by fraction"
    return Table(name, title, wide[[*front, *rest]], columns, [*notes, *said])


def with_absent(wide: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """With rows for strategies that have no value at all: named rather than dropped."""
    absent = whole[GROUP].drop_duplicates().merge(wide[GROUP], how="left", indicator=True)
    absent = absent.loc[absent["_merge"] == "left_only", GROUP]
    return pd.concat([wide, absent], ignore_index=True)


def fractions_of(wide: pd.DataFrame) -> list[str]:
    """The columns that are fractions."""
    return [column for column in wide.columns if column not in GROUP]


def _full_everywhere(wide: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Full training's one value in every column, as the papers print it, and a note on it."""
    fractions = fractions_of(wide)
    if _ALL not in fractions or len(fractions) < 2 or (wide["arm"] == "full").sum() == 0:
        return wide, []
    wide = wide.copy()
    others = [fraction for fraction in fractions if fraction != _ALL]
    mine = wide["arm"] == "full"
    for fraction in others:
        wide.loc[mine, fraction] = wide.loc[mine, _ALL]
    if wide.loc[~mine, _ALL].notna().any():  # a subset of all the data
        return wide, []
    return wide.drop(columns=_ALL), ["Full training has no fraction: its one value stands in each."]


def missing_notes(wide: pd.DataFrame, fraction: str, value: str, whole: pd.DataFrame) -> list[str]:
    """Per row of ``wide``, why the cell at ``fraction`` is missing; empty where it is not.

    Args:
        wide: The printed table, with a column per fraction.
        fraction: The column to explain, as printed (``10%``).
        value: The column of ``whole`` that the cells show.
        whole: The table that ``wide`` was made of, a row per arm and fraction.
    """
    return [
        _why(whole, row, fraction, value) if pd.isna(row[fraction]) else ""
        for row in wide.to_dict("records")
    ]


def _why(whole: pd.DataFrame, row: dict[str, object], fraction: str, value: str) -> str:
    own = whole
    for key in GROUP:
        own = own[own[key] == row[key]]
    if row["arm"] != "full":
        own = own[(own["fraction"] * 100).round(9) == float(fraction.rstrip("%"))]
    if own.empty:
        return "not run"
    if value == "deviation":
        return "one training seed"
    if own[value].isna().all():
        return "no full training" if value == "speedup" else "not measured"
    return "not finished by every arm"


def groups(frame: pd.DataFrame) -> list[Column]:
    """Columns for dataset and model, where they differ."""
    return [
        Column(key, key.capitalize(), numeric=False)
        for key in ("dataset", "model")
        if frame[key].nunique() > 1
    ]
