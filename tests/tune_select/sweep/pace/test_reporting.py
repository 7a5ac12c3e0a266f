"""When a sweep's trials report and are saved."""

from __future__ import annotations

from typing import Any

import pytest
from ray import tune

from trainables import ImageClassification
from tune_select.reporting import Reporting
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.sweep.config import SweepError
from tune_select.sweep.pace.reporting import reporting_of, takes_reporting
from tune_select.sweep.plan import make_plan
from tune_select.sweep.yaml_file import parse_sweep

SWEEP = {
    "name": "s",
    "train": {"max_epochs": 27, "learning_rate": 0.1},
    "space": {"learning_rate": [0.1, 0.2]},
}


def reporting(**changes: Any) -> Reporting:
    plan = make_plan(parse_sweep({**SWEEP, **changes}))
    return reporting_of(plan.config, SeedReplayScheduler(plan.scheduler()))


def test_by_default_reports_cover_two_seconds_and_checkpoints_take_a_fiftieth() -> None:
    assert reporting() == Reporting(every_s=2.0, checkpoint_share=0.02)
    plan = make_plan(parse_sweep(SWEEP))
    assert reporting_of(plan.config, None) == reporting()


def test_a_sweep_says_otherwise() -> None:
    said = reporting(tune={"report_every_s": 0.0}, checkpoint={"every": 5})
    assert said == Reporting(every_s=0.0, checkpoint_every=5)
    with pytest.raises(SweepError, match=r"checkpoint: every \(5\) and share \(0.1\)"):
        reporting(checkpoint={"every": 5, "share": 0.1})


def test_a_scheduler_hears_of_every_epoch_at_which_it_decides() -> None:
    options = {"reduction_factor": 3, "max_t": 20}
    asha = reporting(tune={"scheduler": "asha", "scheduler_options": options})
    assert asha.epochs == {1, 3, 9, 20}  # stopped at 20, whatever rung that is
    assert asha.every_s == 2.0


def test_a_scheduler_that_may_decide_at_any_time_hears_of_every_epoch() -> None:
    assert reporting(tune={"scheduler": "median"}).every_s == 0.0


def test_who_can_be_told() -> None:
    class Own(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None: ...

    assert takes_reporting(ImageClassification)
    assert not takes_reporting(Own)
    assert not takes_reporting(lambda config: None)
