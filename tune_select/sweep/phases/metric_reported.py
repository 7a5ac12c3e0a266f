"""A number that no trial reports: said after the first trial, and not after the last one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.utils import flatten_dict

from tune_select.wording import did_you_mean

_MOST_NAMED = 30


class MetricReported(Callback):
    """Ends an experiment whose first trial to finish has never reported what it is searched by.

    Schedulers and searchers of Tune's then do nothing, without a word, and nothing is promoted.

    Args:
        needed: The numbers that trials have to report, the metric and the scheduler's clock, by the
            field of the sweep that names them.
    """

    def __init__(self, needed: Mapping[str, str]) -> None:
        self._needed = dict(needed)
        self._missing = ""

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Look at what was reported so far; Tune keeps every number's last value."""
        if self._missing:
            return
        reported = sorted(trial.metric_analysis, key=_results_first)
        for field, name in self._needed.items():
            # A trial that never reported anything has another fault, which Tune names.
            if reported and not any(name in _reported(each) for each in trials):
                self._missing = (
                    f"{field} is {name!r}, but trial {trial.trial_id} has finished and "
                    f"never reported it; it reported {', '.join(reported[:_MOST_NAMED])}"
                )
                near = did_you_mean(name, reported)
                self._missing += f"; {near}" if near.startswith("did") else ""
                return

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """End the experiment, if so; here, where Tune does not take it for a trial's failure.

        Raises:
            ray.tune.TuneError: With what was reported instead.
        """
        if self._missing:
            raise tune.TuneError(self._missing)


def _results_first(name: str) -> tuple[bool, str]:
    return not name.startswith(("val_", "test_")), name


def _reported(trial: Trial) -> set[str]:
    """Every number that a trial has ever reported, and all of its last report."""
    return {*trial.metric_analysis, *flatten_dict(trial.last_result or {})}
