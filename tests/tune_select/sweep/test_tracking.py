"""What of trials' parameters MLflow is told once, with the sweep's run."""

from __future__ import annotations

from typing import Any

from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight.trials import examples
from tune_select.sweep.tracking import constant_params
from tune_select.sweep.yaml_file import parse_sweep
from tune_select.tracking.events import trial_params

SWEEP = {
    "name": "s",
    "train": {"max_epochs": 8, "learning_rate": 0.1, "momentum": 0.5},
    "space": {"learning_rate": [0.1, 0.2]},
    "selection": {"select_every": 4},
    "arms": ["cached", "random", "full"],
}


def varying(**changes: Any) -> set[str]:
    """The parameters that trials' own runs have, of all trials together."""
    plan = make_plan(parse_sweep({**SWEEP, **changes}))
    constant = constant_params(plan)
    return {name for _, config in examples(plan) for name in trial_params(config, constant)}


def test_only_what_varies_is_a_trials_own() -> None:
    assert varying() == {"arm", "learning_rate", "seed"}


def test_ranges_and_what_an_arm_changes_vary() -> None:
    space = {"learning_rate": {"loguniform": [0.01, 0.1]}, "selection.fraction": [0.1, 0.3]}
    short = {"name": "short", "selector": "full", "max_epochs": 4}
    found = varying(space=space, arms=["cached", "full", short], tune={"seed_by": [*space][1:]})
    assert found == {"arm", "learning_rate", "max_epochs", "seed", "selection/fraction"}


def test_what_a_population_may_change_varies() -> None:
    options = {"hyperparam_mutations": {"momentum": {"uniform": [0.1, 0.9]}}}
    pbt = {"scheduler": "pbt", "scheduler_options": options}
    assert varying(tune=pbt) == {"arm", "learning_rate", "momentum", "seed"}


def test_what_a_define_by_run_space_sets_varies() -> None:
    train = {**SWEEP["train"], "optimizer": "sgd", "weight_decay": 1e-4}  # type: ignore[dict-item]
    space = "search_spaces.mixed.define_by_run"
    found = varying(space=space, train=train, tune={"searcher": "optuna", "num_samples": 4})
    assert found == {"arm", "learning_rate", "optimizer", "seed", "weight_decay"}
