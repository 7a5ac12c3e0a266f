"""After which epochs a trial reports to the driver, and after which it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_select.reporting import Reporting

_FIRST_CHECKPOINT_S = 0.1
"""What a checkpoint is taken to cost before one was measured, seconds."""

BESIDE_S = 0.03
"""What the driver takes for a checkpoint beside the trial's own saving, seconds; see the README."""


class Reports:
    """Decides for one trial; pure but for what it is told of the time.

    Args:
        reporting: What the sweep wants.
        now_s: When the trial began, by any clock that only goes on, as all times below.
    """

    def __init__(self, reporting: Reporting, now_s: float) -> None:
        self._wanted = reporting
        self._began_s = self._saved_s = self._since_s = now_s
        self._published: int | None = None
        self._cost_s = _FIRST_CHECKPOINT_S

    def begins(self, now_s: float) -> None:
        """The trial trains on, or for the first time."""
        self._since_s = now_s

    def is_due(self, report: Mapping[str, Any], now_s: float) -> bool:
        """Whether the driver is told now.

        Args:
            report: The report of the epoch that has just ended.
            now_s: The time.
        """
        return (
            bool(report.get("done"))
            or report.get("waiting_for_interval", -1) >= 0
            or now_s - self._since_s >= self._wanted.every_s
            or report.get("epoch") in self._wanted.epochs
            or self._has_published(report)
            or self.saves(report, now_s)
        )

    def saves(self, report: Mapping[str, Any], now_s: float) -> bool:
        """Whether the trial is to be saved with this report.

        A seed is saved like any other: one that begins again takes up the intervals it has
        published instead of selecting them again. After the last epoch there is nothing to go on
        with, but what was trained: that is kept where it costs next to nothing beside the training.

        Args:
            report: The report of the epoch that has just ended.
            now_s: The time.
        """
        every, share = self._wanted.checkpoint_every, self._wanted.checkpoint_share
        if report.get("waiting_for_interval", -1) >= 0:
            return False  # who has to step aside is saved anyhow
        if every is not None:
            return int(report["epoch"]) % every == 0
        if share is None:
            return False
        if report.get("done"):
            return self._cost_s <= share * (now_s - self._began_s)
        return self._cost_s <= share * (now_s - self._saved_s)

    def sent(self, report: Mapping[str, Any]) -> None:
        """The driver is being told; ``report`` is the last of what it is told."""
        if "history_published" in report:
            self._published = int(report["history_published"])

    def saved(self, now_s: float, took_s: float) -> None:
        """Whoever asked for it, a checkpoint was written.

        Args:
            now_s: The time.
            took_s: Seconds that writing it took, its way to the storage included.
        """
        self._saved_s, self._cost_s = now_s, took_s + BESIDE_S

    def _has_published(self, report: Mapping[str, Any]) -> bool:
        published = report.get("history_published")
        return published is not None and int(published) != (self._published or 0)
