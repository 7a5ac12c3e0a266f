"""Spaces drawn by ourselves and by a Tuner."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from ray import tune
from ray.tune.search.variant_generator import generate_variants

from search_spaces import optimizers
from tune_select.search.ladder.sampled import SampledPoints
from tune_select.search.param_space import draw, for_tuner

PLAIN: dict[str, Any] = {
    "rate": tune.loguniform(1e-4, 1e-1),
    "data": {"size": tune.choice([1, 2, 3])},
    "optimizer": tune.grid_search(["adam", "sgd"]),
    "epochs": 12,
}


def by_tuner(space: dict[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """As Tune's ``BasicVariantGenerator`` does it."""
    variants = generate_variants({"config": space}, random_state=np.random.default_rng(seed))
    return [variant["config"] for _, variant in variants]


def test_points_are_those_that_tune_draws() -> None:
    assert list(draw(PLAIN, np.random.default_rng(0))) == by_tuner(PLAIN)


@pytest.mark.parametrize(
    "decay",
    [
        lambda config: 0.1 if config["optimizer"] == "sgd" else config["epochs"],
        lambda spec: 0.1 if spec.config.optimizer == "sgd" else spec.config.epochs,
        lambda spec: 0.1 if spec["config"]["optimizer"] == "sgd" else 12,
    ],
)
def test_one_axis_may_depend_on_another_whoever_draws(decay: Any) -> None:
    space = {"decay": tune.sample_from(decay), **PLAIN}
    expected = [("adam", 12), ("sgd", 0.1)]
    for points in (list(draw(space, np.random.default_rng(0))), by_tuner(for_tuner(space))):
        assert [(p["optimizer"], p["decay"]) for p in points] == expected
    sampled = SampledPoints(space, num_samples=1, random_state=0)
    assert [sampled.suggest("")["decay"] for _ in range(sampled.total)] == [12, 0.1]


def test_a_papers_dependent_space_is_climbed_and_searched() -> None:
    points = by_tuner(for_tuner(optimizers()))
    assert [p["weight_decay"] for p in points] == [0.0, 0.0, 5e-4]
    assert pickle.loads(pickle.dumps(for_tuner(PLAIN)))["epochs"] == 12
