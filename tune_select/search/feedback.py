"""What a searcher is told of a point that is trained with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_select.scheduling.seed_progress import waiting_for


@dataclass
class _Point:
    """One proposal of the searcher.

    Attributes:
        reports: Reports by epoch, then by trial, that other trials of the point still
            lack.
        seen: A trial's last report with a metric, while it runs.
        last: The last report of a trial that has ended, or ``None`` where it left none.
        told_epoch: The last epoch that the searcher was told of.
    """

    reports: dict[int, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    seen: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    last: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    told_epoch: int = 0


@dataclass
class Feedback:
    """Averages the primary arm's trials of each point over its training seeds.

    Plain data, so that a searcher's saved state carries it. Trials that it was not told to expect
    (seeds, other arms, trials of an earlier run) are passed over in silence.

    Attributes:
        seeds: Trials to expect per point.
    """

    seeds: int
    _points: dict[int, _Point] = field(default_factory=dict)
    _point_of: dict[str, int] = field(default_factory=dict)

    def expect(self, trial_id: str, point: int) -> None:
        """A trial of the primary arm was handed out for a point."""
        self._points.setdefault(point, _Point())
        self._point_of[trial_id] = point

    def point_of(self, trial_id: str) -> int | None:
        """The point of a trial of the primary arm that the searcher has not seen the end of."""
        point = self._point_of.get(trial_id)
        return point if point in self._points else None

    def result(
        self, trial_id: str, result: Mapping[str, Any], metrics: Sequence[str]
    ) -> dict[str, Any] | None:
        """What to tell of an epoch, once all trials of the point have reached it.

        Reports that wait for an interval, and epochs that a restarted trial repeats, are not told.

        Args:
            trial_id: The id of the trial that reported.
            result: Its report.
            metrics: Names of the reported values to average over the point's trials.
        """
        point = self.point_of(trial_id)
        if point is None or waiting_for(result) >= 0 or not all(m in result for m in metrics):
            return None
        known = self._points[point]
        known.seen[trial_id] = result
        epoch = int(result.get("epoch", result.get("training_iteration", 0)))
        if epoch <= known.told_epoch:
            return None
        reports = known.reports.setdefault(epoch, {})
        reports[trial_id] = result
        if len(reports) < self.seeds:
            return None
        del known.reports[epoch]
        known.told_epoch = epoch
        return _mean(list(reports.values()), metrics)

    def end(
        self, trial_id: str, result: Mapping[str, Any] | None, metrics: Sequence[str]
    ) -> tuple[int, dict[str, Any] | None] | None:
        """The point and what to tell of it, once all its trials have ended.

        A trial that ended between two evaluations is known by its last one. The mean is over the
        trials that left a result; ``None`` in its place when none did.

        Args:
            trial_id: The id of the trial that ended.
            result: Its last report, or ``None`` where it never reported.
            metrics: Names of the reported values to average over the point's trials.
        """
        point = self.point_of(trial_id)
        if point is None:
            return None
        known = self._points[point]
        if result is not None and not all(m in result for m in metrics):
            result = known.seen.get(trial_id, result)
        known.last[trial_id] = result
        if len(known.last) < self.seeds:
            return None
        last = known.last
        del self._points[point]
        left = [report for report in last.values() if report and all(m in report for m in metrics)]
        return point, (_mean(left, metrics) if left else None)


def _mean(reports: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, Any]:
    means = {m: sum(float(report[m]) for report in reports) / len(reports) for m in metrics}
    return {**reports[-1], **means}
