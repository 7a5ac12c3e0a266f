"""A metric that nobody reports ends an experiment after its first trial, by name."""

from __future__ import annotations

from typing import Any

import pytest
from ray import tune
from ray.tune.experiment import Trial

from tune_select.sweep.phases.metric_reported import MetricReported


def trial_that_reported(*reports: dict[str, Any]) -> Trial:
    trial = Trial("t", stub=True)
    for iteration, report in enumerate(reports, 1):
        tunes = {"pid": 1, "node_ip": "here", "training_iteration": iteration}
        trial.update_last_result({**report, **tunes})
    return trial


def ended(metric: str, *trials: Trial, clock: str = "training_iteration") -> None:
    look = MetricReported({"tune.metric": metric, "tune.scheduler_options.time_attr": clock})
    for trial in trials:
        look.on_trial_complete(1, list(trials), trial)
        look.on_step_end(1, list(trials))


def test_what_was_reported_once_by_anybody_is_there() -> None:
    early = trial_that_reported({"val_accuracy": 0.5}, {"train_loss": 1.0})
    without = trial_that_reported({"train_loss": 1.0})  # stopped before its first look
    ended("val_accuracy", early, without)
    ended("val_accuracy", trial_that_reported({"val_accuracy": float("nan")}))
    ended("val/accuracy", trial_that_reported({"val": {"accuracy": 0.5}}))
    ended("val_accuracy", trial_that_reported({"val_accuracy": "0.5"}))  # text is reported too
    ended("val_accuracy", Trial("t", stub=True))  # nothing at all: Tune says that itself


def test_a_metric_of_nobodys_is_named_with_what_there_is() -> None:
    trial = trial_that_reported({"val_accuracy": 0.5, "val_loss": 1.0, "train_s": 1.0})
    said = (
        r"tune.metric is 'val_acuracy', but trial .*reported val_accuracy, val_loss, "
        r".*; did you mean val_accuracy"
    )
    with pytest.raises(tune.TuneError, match=said):
        ended("val_acuracy", trial)


def test_a_clock_that_nobody_reports_is_named_too() -> None:
    trial = trial_that_reported({"val_accuracy": 0.5, "epoch": 1, "train_s": 1.0})
    ended("val_accuracy", trial, clock="epoch")
    with pytest.raises(
        tune.TuneError,
        match=r"tune.scheduler_options.time_attr is 'epochs', but .*did you mean epoch",
    ):
        ended("val_accuracy", trial, clock="epochs")
