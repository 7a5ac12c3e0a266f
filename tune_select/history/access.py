"""What a trial holds of a history, be it a folder or the store in flight."""

from __future__ import annotations

from typing import Protocol

from tune_select.history.identity import HistoryIdentity
from tune_select.history.interval import Interval


class HistoryAccess(Protocol):
    """What a trial holds of a history; picklable, and cheap to pickle.

    A folder on disk and the store in flight both are one. A seed calls ``begin``, ``publish`` and
    ``finish``, a replay ``identity`` and ``read``.
    """

    def begin(self, identity: HistoryIdentity) -> int:
        """Open the history for writing, again after a restart; returns the intervals published.

        Raises:
            HistoryConflictError: Another seed's history is already there.
        """

    def publish(self, interval: Interval) -> bool:
        """Add the next interval, all its rungs at once.

        Returns:
            True when it is new, False when the same was published before.

        Raises:
            HistoryConflictError: It was published with other content, or intervals before it lack.
        """

    def finish(self) -> None:
        """Declare the history complete; again is harmless.

        Raises:
            HistoryConflictError: Intervals lack.
        """

    def identity(self) -> HistoryIdentity | None:
        """What the history is of; ``None`` while no seed has begun."""

    def read(self, number: int, timeout_s: float, fraction: float | None = None) -> Interval | None:
        """One subset of interval ``number``; ``None`` when it is not there in time.

        Args:
            number: The number of the interval, from 0.
            timeout_s: How long to wait at the most.
            fraction: Which of the history's; the seed's own by default.

        Raises:
            HistoryMismatchError: The history holds no subsets at that fraction.
            HistoryEndedError: The history is complete without it.
            HistoryCorruptError: Its file is damaged.
        """
