"""When a sweep's trials look at their splits."""

from __future__ import annotations

from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
)

from tune_select.sweep.config import SweepError
from tune_select.sweep.pace.evaluation import milestones
from tune_select.sweep.plan import make_plan
from tune_select.sweep.yaml_file import parse_sweep

SWEEP = {
    "name": "s",
    "train": {"max_epochs": 27, "learning_rate": 0.1},
    "space": {"learning_rate": [0.1, 0.2]},
}


def looks(**changes: Any) -> dict[str, Any]:
    return make_plan(parse_sweep({**SWEEP, **changes})).base_config()["evaluation"]


def test_looks_are_at_every_epoch_and_at_the_test_split_once() -> None:
    assert looks() == {
        "every": None, "share": None, "validation_part": "auto", "test": "last", "milestones": [],
    }  # fmt: skip
    older = {**SWEEP["train"], "eval_every": 3}  # type: ignore[dict-item]
    assert looks(train=older)["every"] is None  # the trial reads eval_every


def test_what_the_sweep_says_holds_beside_the_schedulers_milestones() -> None:
    assert looks(evaluation={"every": 5})["every"] == 5
    assert looks(evaluation={"record_losses": [5, 1]})["record_losses"] == [1, 5]
    tune = {"scheduler": "asha", "scheduler_options": {"reduction_factor": 3}}
    asha = looks(tune=tune, evaluation={"share": 0.02})
    assert (asha["share"], asha["milestones"]) == (0.02, [1, 3, 9, 27])


def test_a_scheduler_that_decides_at_any_time_takes_no_plan_by_seconds() -> None:
    with pytest.raises(SweepError, match="evaluation.share is 0.1, but the scheduler 'median'"):
        looks(tune={"scheduler": "median"}, evaluation={"share": 0.1})
    assert looks(tune={"scheduler": "median"}, evaluation={"every": 2})["every"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"every": 2, "share": 0.1}}, "evaluation: every (2) and share (0.1)"),
        ({"evaluation": {"share": 2}}, "evaluation.share"),
        ({"evaluation": {"validation_part": 0}}, "evaluation.validation_part"),
        ({"evaluation": {"test": "sometimes"}}, "evaluation.test"),
        ({"train": {"evaluation": {"every": 2}}}, "write it as evaluation, beside train"),
    ],
)
def test_mistakes_name_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError) as error:
        parse_sweep({**SWEEP, **changes})
    assert message in str(error.value)


def test_milestones_are_those_of_the_schedulers_own_code() -> None:
    epoch = {"time_attr": "epoch"}
    assert milestones(FIFOScheduler(), 10) == ()
    asha = ASHAScheduler(**epoch, max_t=16, grace_period=2, reduction_factor=2)
    assert milestones(asha, 16) == (2, 4, 8, 16)
    brackets = ASHAScheduler(**epoch, max_t=16, grace_period=1, reduction_factor=4, brackets=2)
    assert milestones(brackets, 16) == (1, 4, 16)
    hyperband = HyperBandScheduler(**epoch, max_t=27, reduction_factor=3)
    assert milestones(hyperband, 27) == (1, 3, 9, 27)
    pbt = PopulationBasedTraining(
        **epoch, perturbation_interval=3, burn_in_period=5,
        hyperparam_mutations={"learning_rate": tune.uniform(0.1, 1)},
    )  # fmt: skip
    assert milestones(pbt, 16) == (5, 8, 11, 14)
    assert milestones(MedianStoppingRule(**epoch), 10) is None
    assert milestones(ASHAScheduler(max_t=16), 16) is None  # not counted in epochs
