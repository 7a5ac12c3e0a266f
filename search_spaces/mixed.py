"""Spaces over several hyperparameters at once, for random search, ASHA and Optuna."""

from __future__ import annotations

from typing import Any

from ray import tune


def mixed() -> dict[str, Any]:
    """Learning rate, optimizer, weight decay and batch size; for random search and ASHA."""
    return {
        "learning_rate": tune.loguniform(1e-4, 1e-1),
        "optimizer": tune.choice(["sgd", "adam", "adamw", "rmsprop"]),
        "weight_decay": tune.loguniform(1e-6, 1e-2),
        "batch_size": tune.choice([32, 64, 128]),
    }


def define_by_run(trial: Any) -> None:
    """The mixed space as an Optuna define-by-run function.

    The range of the learning rate hangs on the optimizer, which a flat space cannot say: adaptive
    optimizers want rates about ten times smaller than SGD.
    """
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam", "adamw"])
    low, high = (1e-3, 3e-1) if optimizer == "sgd" else (1e-4, 3e-2)
    trial.suggest_float("learning_rate", low, high, log=True)
    trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True)
