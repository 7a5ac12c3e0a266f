"""The subset history: what a seed trial selected, interval by interval, for others to replay.

Everything here works without Ray but ``store`` and ``store_actor``, which serve the same histories
in flight and are imported by those who ask for them. What reads and writes Parquet is imported on
first use, so that a training loop that needs no history waits for PyTorch alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tune_select.history.access import HistoryAccess
from tune_select.history.errors import (
    HistoryConflictError,
    HistoryCorruptError,
    HistoryEndedError,
    HistoryError,
    HistoryMismatchError,
    HistoryMissingError,
    HistoryUnavailableError,
)
from tune_select.history.identity import Align, DatasetIdentity, HistoryIdentity
from tune_select.history.interval import Interval
from tune_select.history.open import open_history

if TYPE_CHECKING:
    from tune_select.history.subset_history import SubsetHistory as SubsetHistory

__all__ = [
    "Align",
    "DatasetIdentity",
    "HistoryAccess",
    "HistoryConflictError",
    "HistoryCorruptError",
    "HistoryEndedError",
    "HistoryError",
    "HistoryIdentity",
    "HistoryMismatchError",
    "HistoryMissingError",
    "HistoryUnavailableError",
    "Interval",
    "SubsetHistory",
    "open_history",
]


def __getattr__(name: str) -> Any:
    """Import the one name that needs Parquet."""
    if name != "SubsetHistory":
        raise AttributeError(f"module 'tune_select.history' has no attribute {name!r}")
    from tune_select.history.subset_history import SubsetHistory

    return SubsetHistory
