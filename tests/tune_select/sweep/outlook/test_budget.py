"""What a sweep will train, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tune_select.sweep.outlook.budget import TrainingBudget, training_budget
from tune_select.sweep.plan import make_plan
from tune_select.sweep.yaml_file import parse_sweep


def budget(**changes: Any) -> TrainingBudget | None:
    base = {
        "name": "counted",
        "data": {"name": "digits"},
        "train": {"model": "mlp", "max_epochs": 10, "learning_rate": 0.1, "eval_every": 4},
        "selection": {"fraction": 0.2, "select_every": 2},
        "space": {"learning_rate": [0.1, 0.2, 0.3]},
        "arms": ["cached", "full"],
        "promote": 0,
    }
    return training_budget(make_plan(parse_sweep({**base, **changes})))


def test_seed_replays_and_full_training_are_counted() -> None:
    # A seed and three replays of 10 epochs on a fifth, three full trainings; evaluated at 4, 8, 10.
    assert budget() == TrainingBudget(7, 70, pytest.approx(4 * 2 + 3 * 10), 21)
    # Full training is an arm: whatever is promoted has been trained on all the data already.
    assert budget(promote=2) == budget()
    promoted = budget(promote=2, arms=["cached"])
    assert promoted == TrainingBudget(6, 60, pytest.approx(4 * 2 + 2 * 10), 18)
    # Nor does full training hang on the fraction: three rates at two fractions are three trainings.
    axes = {"learning_rate": [0.1, 0.2, 0.3], "selection.fraction": [0.2, 0.4]}
    assert budget(arms=["random", "full"], space=axes) == TrainingBudget(
        9, 90, pytest.approx(3 * 2 + 3 * 4 + 3 * 10), 27
    )
    twice = budget(tune={"seeds": [0, 1]})
    assert twice == TrainingBudget(13, 130, pytest.approx(7 * 2 + 6 * 10), 39)


def test_arms_have_their_own_lengths_and_shares() -> None:
    arms = [
        "full",
        {"name": "warm", "selector": "random", "warm_start_epochs": 2},
        {"name": "kappa", "selector": "random", "kappa": 0.5},
        {"name": "some", "selector": "uniform", "settings": {"uniform": {"keep": 0.5}}},
        {"name": "short", "selector": "full", "max_epochs": 3},
    ]
    # 10 + (2 + 8 / 5) + (1 + 5 / 5) + 10 / 2 + 3 passes for each of three rates.
    found = budget(arms=arms)
    assert found is not None
    assert found.trials == 15
    assert found.epochs == 3 * (10 + 10 + 6 + 10 + 3)
    assert found.full_epochs == pytest.approx(3 * (10 + 3.6 + 2 + 5 + 3))
    assert found.evaluations == 3 * (3 + 3 + 2 + 3 + 1)


def test_a_trainable_that_says_its_epochs_itself_is_not_guessed_at() -> None:
    assert budget(train={"model": "mlp", "learning_rate": 0.1}) is None
