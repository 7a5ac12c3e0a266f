"""The subset history: what a seed trial selected, interval by interval, for others to replay.

Everything here works without Ray but ``store`` and ``store_actor``, which serve the same histories
in flight and are imported by those who ask for them.
"""

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
from tune_select.history.subset_history import SubsetHistory

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
