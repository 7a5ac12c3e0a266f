"""How well mini-batch strategies estimate gradients, from the file of a study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

FILE = "gradient_quality.csv"
"""In a results folder: a row per strategy and mini-batch."""

AGREEMENTS = ("cosine", "same_sign")


def read_gradient_quality(folder: Path) -> pd.DataFrame | None:
    """The study's rows; ``None`` where there is no file.

    Args:
        folder: The folder of the results.

    Returns:
        ``arm``, ``squared_error`` (relative to the gradient of all the data), ``epoch`` (0 where
        the file says none), ``cosine`` and ``same_sign`` (NaN likewise), and its other columns.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no table, or holds texts in place of numbers.
        KeyError: It lacks ``strategy`` or ``relative_squared_error``.
    """
    path = folder / FILE
    if not path.exists():
        return None
    frame = pd.read_csv(path).rename(columns={"strategy": "arm"})
    frame["squared_error"] = frame["relative_squared_error"].astype(float)
    frame["arm"] = frame["arm"].astype(str)
    if "epoch" not in frame:
        frame["epoch"] = 0
    for name in AGREEMENTS:
        frame[name] = frame[name].astype(float) if name in frame else float("nan")
    return frame


def agreement_by_epoch(frame: pd.DataFrame) -> pd.DataFrame:
    """How far chosen examples agree with their mini-batch (Jiang et al. 2019, Fig. 5).

    Args:
        frame: The result of :func:`read_gradient_quality`.

    Returns:
        ``arm``, ``epoch``, ``cosine`` and ``same_sign``, means over seeds and mini-batches; empty
        where the study did not measure them.
    """
    known = frame.dropna(subset=list(AGREEMENTS), how="all")
    means = known.groupby(["arm", "epoch"], sort=False)[list(AGREEMENTS)].mean()
    return means.reset_index().sort_values("epoch", kind="stable", ignore_index=True)
