"""Which reports tell a base scheduler something: those of epochs that were evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial


@dataclass
class Reports:
    """The last report of each trial that carried the metric.

    Bases differ in what they do with a report without it: ASHA and median stopping pass it over,
    HyperBand fails when it ranks, and population-based training ends the run. None needs it.
    """

    _with_metric: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, trial: Trial, result: dict[str, Any], metric: str | None) -> bool:
        """Whether a report carries the base's metric, which then is its trial's last.

        A base without a metric, such as FIFO, is to hear of every report.

        Args:
            trial: Whose report it is.
            result: The report.
            metric: What the base optimises.
        """
        if metric is None:
            return True
        if result.get(metric) is None:
            return False
        self._with_metric[trial.trial_id] = dict(result)
        return True

    def last(self, trial: Trial, result: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
        """What a trial's end is told with: its last report, or its last that carried the metric.

        Args:
            trial: Which ends.
            result: Its last report.
            metric: What the base optimises.
        """
        known = self._with_metric.pop(trial.trial_id, None)
        if known is None or metric is None or result.get(metric) is not None:
            return dict(result)
        return known
