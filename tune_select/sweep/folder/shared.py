"""Rows of cells that another trial stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tune_select.sweep.folder.tables import cell_columns, resolved_columns

SAME_AS = "same_as"
"""Column of ``trials.parquet``: which trial a row shows the training of; empty of a trial's own."""


@dataclass(frozen=True)
class Cell:
    """A cell that another trial stands for.

    Attributes:
        config: Its whole configuration, as a trial of its own would have had it.
        same_as: Id of the trial that trained the same.
    """

    config: dict[str, Any]
    same_as: str


def with_shared(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    cells: Sequence[Cell],
    *,
    phase: str,
    histories_of: Callable[[Mapping[str, Any]], list[str]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables with a row for every cell, also those that another trial stands for.

    Its row says what that trial reached and took (whoever adds up seconds leaves rows with
    ``same_as`` out), under a name of its own and with the cell's own configuration.

    Args:
        trials: A row per trial.
        epochs: A row per trial and epoch.
        cells: The cells to be shown.
        phase: Theirs, as the tables call it.
        histories_of: The same as for ``collect``.
    """
    if not cells or trials.empty:
        return trials, epochs
    rows = trials.set_index("trial_id", drop=False)
    own = {str(key): frame for key, frame in epochs.groupby("trial_id", sort=False)}
    shown, frames = [], [epochs]
    for cell in cells:
        source = rows.loc[cell.same_as].to_dict()
        kept = {key: value for key, value in source.items() if not str(key).startswith("config/")}
        name, arm = id_of(cell), str(cell.config["arm"])
        shown.append(
            {
                **kept,
                **cell_columns(cell.config, histories_of),
                **resolved_columns(cell.config),
                **{"trial_id": name, "arm": arm, "phase": phase, SAME_AS: cell.same_as},
            }
        )
        if cell.same_as in own:
            frames.append(own[cell.same_as].assign(trial_id=name, arm=arm, phase=phase))
    whole = pd.concat([trials, pd.DataFrame(shown)], ignore_index=True)
    phases = {name: number for number, name in enumerate(dict.fromkeys(whole["phase"]))}
    whole = whole.sort_values(
        ["phase", "configuration", "arm", "seed"],
        key=lambda column: column.map(phases) if column.name == "phase" else column,
        kind="stable",
        ignore_index=True,
    )
    return whole, pd.concat(frames, ignore_index=True)


def id_of(cell: Cell) -> str:
    """What stands for a trial's id in the row of a cell without one."""
    config = cell.config
    return f"{cell.same_as}~{config['configuration']}-{config['arm']}-{config['seed']}"
