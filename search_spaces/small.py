"""The space of the embedded comparison on handwritten digits."""

from __future__ import annotations

from typing import Any

from ray import tune


def digits() -> dict[str, Any]:
    """Two learning rates, two optimizers, two models: eight configurations that differ visibly."""
    return {
        "learning_rate": tune.grid_search([0.01, 0.05]),
        "optimizer": tune.grid_search(["sgd", "adam"]),
        "model": tune.grid_search(["small_cnn", "lenet"]),
    }
