"""A trial's forecast against the trial itself, in counts of work."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.loop.test_looks import Counted
from tests.trainables.toy_tasks import loop, run, settings
from trainables import ImageClassification
from trainables.arms.forecast import REPORT_S, SelectionCost, Work, seconds_of, work_of
from trainables.arms.plan import plan_arm
from trainables.arms.probe import StepPlan, Units
from trainables.loop.reports import BESIDE_S
from tune_select.reporting import Reporting

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
        assert len(work.selects) == selected
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
    work = work_of(chosen, plan_arm(chosen), 60)
    part = 10 if "validation_part" in evaluation else 40
    splits = {"train": 60, "validation": 40, "part": part, "test": 20}
    units = Units(NOTHING, NOTHING, SECOND, NOTHING)
    found = seconds_of(work, units, SelectionCost(), chosen, splits)
    trained = 7 * 60
    assert found["eval"][1] == sum(task.forwards.values()) - trained


NOTHING, SECOND = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("reporting", "publishes", "reports", "checkpoints"),
    [
        (None, False, 12, 0),
        (Reporting(), False, 12, 0),
        (Reporting(every_s=5.0), False, 3, 0),  # after 5 s, 10 s and the end
        (Reporting(every_s=100.0, epochs=frozenset({4})), False, 2, 0),
        (Reporting(every_s=100.0, checkpoint_every=6), False, 2, 2),
        (Reporting(every_s=100.0, checkpoint_share=1e-9), True, 4, 0),  # each publication, the end
    ],
)
def test_reports_and_checkpoints_are_those_of_the_loop(
    reporting: Reporting | None, publishes: bool, reports: int, checkpoints: int
) -> None:
    """Twelve epochs of a second, a selection before every fourth; a checkpoint takes 100 s."""
    settings_ = settings(max_epochs=12, evaluation={"every": 100, "test": "never"})
    work = Work((1.0,) * 12, (60,) * 12, (1, 5, 9) if publishes else (), publishes)
    hundred = (100.0,) * 3
    units = Units(NOTHING, SECOND, NOTHING, NOTHING, hundred)
    splits = {"train": 60, "validation": 0, "part": 0, "test": 0}
    found = seconds_of(work, units, SelectionCost(), settings_, splits, reporting)
    expected = reports * REPORT_S + checkpoints * (100.0 + BESIDE_S)
    assert found["reports"][1] == pytest.approx(expected)


def test_a_selection_is_booked_where_the_trial_books_it() -> None:
    config = settings(max_epochs=4, evaluation={"every": 100, "test": "never"})
    work = Work((1.0,) * 4, (60,) * 4, (1, 3))
    splits = {"train": 60, "validation": 0, "part": 0, "test": 0}
    units = Units(NOTHING, SECOND, NOTHING, NOTHING)
    found = seconds_of(work, units, SelectionCost(5.0, 2.0), config, splits)
    assert (found["train"][1], found["select"][1], found["eval"][1]) == (4.0, 10.0, 4.0)


@given(step_s=st.floats(1e-6, 100.0), longest=st.integers(1, 10_000))
def test_dear_steps_are_timed_less_often(step_s: float, longest: int) -> None:
    """Some three runs of one and two steps at the least; a second and a half of cheap ones."""
    plan = StepPlan.of(step_s, longest)
    steps = plan.repeats * (plan.few + plan.more)
    assert plan.few < plan.more <= max(plan.few + 1, 10)
    assert plan.repeats >= 3
    assert steps <= max(300, 3 * (plan.few + plan.more))
    assert steps * step_s <= max(1.5, 12 * step_s)


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
