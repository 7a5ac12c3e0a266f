"""A trial's forecast against the trial itself, in counts of work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trainables.loop.test_looks import Counted
from tests.trainables.toy_tasks import loop, run, settings
from trainables import ImageClassification
from trainables.arms.forecast import Units, seconds_of, work_of
from trainables.arms.plan import plan_arm

CONFIG: dict[str, Any] = {
    "data": {"name": "digits", "train_limit": 300, "validation_fraction": 0.2},
    "model": "lenet",
    "batch_size": 16,
    "max_epochs": 6,
    "selection": {"fraction": 0.2, "select_every": 2},
}


@pytest.mark.parametrize(
    "changes",
    [
        {"arm": "full"},
        {"arm": "random"},
        {"arm": "gradmatch", "selection": {"fraction": 0.2, "select_every": 2, "kappa": 0.5}},
        {
            "arm": "random",
            "selection": {"fraction": 0.1, "select_every": 3, "warm_start_epochs": 2},
        },
    ],
)
def test_counts_are_those_of_the_trial(changes: dict[str, Any]) -> None:
    config = {**CONFIG, **changes, "device": "cpu"}
    trial = ImageClassification(config)
    reports = [trial.step()]
    while not reports[-1]["done"]:
        reports.append(trial.step())
    plan = plan_arm(trial.settings)
    work = work_of(trial.settings, plan, trial.task.train_size)
    assert sum(work.examples) == reports[-1]["examples_seen"]
    assert len(work.examples) == len(reports)
    selected = sum("gradient_error" in report for report in reports)
    if changes["arm"] == "gradmatch":
        assert work.selections == selected
    trial.cleanup()


@pytest.mark.parametrize(
    "evaluation",
    [
        {"every": 1},
        {"every": 3, "test": "every"},
        {"every": 100, "milestones": [2, 5]},
        {"validation_part": 0.25},
        {"record_losses": [2, 7, 9]},
        {"record_losses": [2], "test": "never"},
    ],
)
def test_evaluated_examples_are_those_of_the_loop(evaluation: dict[str, Any]) -> None:
    """With a second per evaluated example, seconds of evaluation count examples."""
    task = Counted()
    task.heads()  # found by a few examples, once
    task.forwards.clear()
    chosen = settings(max_epochs=7, evaluation=evaluation)
    run(loop(task, max_epochs=7, evaluation=evaluation))
    nothing, second = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    work = work_of(chosen, plan_arm(chosen), 60)
    part = 10 if "validation_part" in evaluation else 40
    splits = {"train": 60, "validation": 40, "part": part, "test": 20}
    found = seconds_of(work, Units(nothing, nothing, second, nothing), nothing, chosen, splits)
    trained = 7 * 60
    assert found["eval"][1] == sum(task.forwards.values()) - trained


def test_equal_models_are_measured_once() -> None:
    measured: dict[str, Any] = {}
    dataset = ImageClassification.load_dataset(CONFIG)
    first = ImageClassification.forecast({**CONFIG, "arm": "full"}, dataset, measured)
    again = ImageClassification.forecast(
        {**CONFIG, "arm": "random_pb", "learning_rate": 0.3, "seed": 4}, dataset, measured
    )
    steps = [key for key in measured if not key.startswith("[")]
    assert len(steps) == 1
    assert first["startup"] == again["startup"]
    for low, likely, high in (*first.values(), *again.values()):
        assert 0 <= low <= likely <= high
    assert again["select"][1] > 0
    ImageClassification.forecast({**CONFIG, "arm": "full", "batch_size": 32}, dataset, measured)
    assert len([key for key in measured if not key.startswith("[")]) == 2
