"""A detector that cannot learn a few pictures by heart has a mistake in its boxes or its loss."""

from __future__ import annotations

import os
from typing import Any

import pytest

from trainables import ObjectDetection
from trainables.detection.coco import read_coco

REAL = os.environ.get("TUNE_SELECT_DATA")


def map_after_100_steps(model: str, data: dict[str, Any], learning_rate: float) -> dict[str, float]:
    """COCO's metrics on eight training pictures after 100 steps of Adam on all of them."""
    trial = ObjectDetection(
        {
            "arm": "full", "model": model, "batch_size": 8, "max_epochs": 100, "eval_every": 100,
            "optimizer": "adam", "learning_rate": learning_rate, "warmup_epochs": 10,
            "weight_decay": 0.0, "milestones": [0.75], "device": "cpu", "energy": False,
            "data": {"validation_fraction": 0, "augmentation": "none", **data},
        }
    )  # fmt: skip
    for _ in range(100):
        trial.train()
    return trial.task.evaluate("train")


def test_eight_synthetic_pictures() -> None:
    data = {"name": "shapes", "train_size": 8, "test_size": 1}
    scores = map_after_100_steps("ssd128_slim10", data, 0.005)
    assert scores["map_50"] > 0.9
    assert scores["map"] > 0.7


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(REAL is None, reason="TUNE_SELECT_DATA is not set")
def test_eight_real_pictures() -> None:
    images = read_coco(f"{REAL}/coco", "train2017").image_ids[:8].tolist()
    data = {"name": "coco", "root": f"{REAL}/coco", "images": images, "stored_size": 128}
    assert map_after_100_steps("ssd128", data, 0.001)["map"] > 0.8
