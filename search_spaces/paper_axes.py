"""The three axes of Cai et al., section 5.1; each varies one thing around the seed trial."""

from __future__ import annotations

from typing import Any

from ray import tune


def learning_rates() -> dict[str, Any]:
    """Learning rates around the seed's 0.01 (Cai et al., Table 1)."""
    return {"learning_rate": tune.grid_search([0.001, 0.003, 0.03])}


def optimizers() -> dict[str, Any]:
    """Optimizers at the seed's learning rate (Cai et al., Table 2).

    Adam and RMSProp have PyTorch's defaults, so no weight decay; SGD's is that of the authors' code
    base (Killamsetty et al. 2021, A.3.2).
    """
    return {
        "optimizer": tune.grid_search(["adam", "rmsprop", "sgd"]),
        "weight_decay": tune.sample_from(
            lambda config: 5e-4 if config["optimizer"] == "sgd" else 0.0
        ),
    }


def architectures() -> dict[str, Any]:
    """Models that replay what a MobileNetV2 seed selected (Cai et al., Table 3)."""
    return {"model": tune.grid_search(["resnet18", "vit"])}
