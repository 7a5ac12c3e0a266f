"""Files that trials leave in their folders beside Tune's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.files import read_table


def read_trial_files(
    folder: Path, file: str, columns: Sequence[str] = ()
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """A Parquet file of every trial below a results folder.

    Args:
        folder: The folder of the sweep; trials lie in it or one folder deeper.
        file: Name in a trial's folder.
        columns: What the file must hold.

    Returns:
        Frames by the name of the trial's folder; and a sentence for each file that cannot be read
        or lacks a column.
    """
    frames, problems = {}, []
    for path in sorted({*folder.glob(f"*/{file}"), *folder.glob(f"*/*/{file}")}):
        where = path.relative_to(folder)
        try:
            frame = read_table(path)
        except (FileNotFoundError, ValueError) as error:
            problems.append(f"{where} could not be read ({error}).")
            continue
        missing = [column for column in columns if column not in frame]
        if missing:
            problems.append(f"{where} lacks {', '.join(missing)}.")
            continue
        frames[path.parent.name] = frame
    return frames, problems


def trial_of(trials: pd.DataFrame, folder: str) -> Any | None:
    """The row, as a named tuple, of the trial that Tune named a folder after; else ``None``."""
    for trial in trials.itertuples():
        if f"_{trial.trial_id}_" in folder or folder == trial.trial_id:
            return trial
    return None
