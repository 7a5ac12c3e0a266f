"""Several epochs in one report to the driver, and when a trial reports and saves itself.

A report costs the slot that waits for it some milliseconds: the way to the driver, its scheduler,
its logs, and back. Epochs of a tenth of the data are as short as that. So a trial whose scheduler
need not hear of every epoch sends several in one report, and whoever logs epochs unpacks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EARLIER = "earlier_reports"
"""Key of a report under which the epochs before its own stand."""

_SAME_IN_ALL = frozenset({"config", "hostname", "node_ip", "pid", "trial_id", "experiment_tag"})


@dataclass(frozen=True)
class Reporting:
    """When a trial reports to the driver, and when it is saved.

    Attributes:
        every_s: Seconds that a report covers at least, where nothing else makes one due; 0 reports
            every epoch.
        epochs: The epochs after which a report is due in any case: those at which a scheduler
            decides.
        checkpoint_every: Epochs between checkpoints.
        checkpoint_share: A share in place of ``checkpoint_every``: save whenever what
            a checkpoint was last measured to cost is at most this share of the seconds since the
            last one.
    """

    every_s: float = 0.0
    epochs: frozenset[int] = frozenset()
    checkpoint_every: int | None = None
    checkpoint_share: float | None = None


def packed(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One report: the last one, with those before it under ``EARLIER``.

    Args:
        reports: One or more, as Tune would have been told them one by one.
    """
    *before, last = reports
    if not before:
        return last
    slim = [{k: v for k, v in report.items() if k not in _SAME_IN_ALL} for report in before]
    return {**last, EARLIER: slim}


def each_report(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The epochs of a report, one by one, as if each had been reported by itself."""
    same = {key: value for key, value in report.items() if key in _SAME_IN_ALL}
    for earlier in report.get(EARLIER, ()):
        yield {**earlier, **same}
    yield {key: value for key, value in report.items() if key != EARLIER}
