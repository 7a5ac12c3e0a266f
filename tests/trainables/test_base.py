"""The trainable inside Ray Tune."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

import trainables
from trainables import ImageClassification

pytestmark = [
    # Ray 2.60 and its dependencies, not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:The `RunConfig.*:UserWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    root = Path(__file__).parents[2]
    ray.init(
        address="local",  # never somebody else's cluster on this machine
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(root)}},
    )
    yield
    ray.shutdown()


@pytest.fixture
def folder() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="rl", dir="/tmp")  # short: sockets have 107 characters
    yield path
    shutil.rmtree(path, ignore_errors=True)


def space(**changes: Any) -> dict[str, Any]:
    base = {
        "arm": "full",
        "model": "small_cnn",
        "model_settings": {"channels": [8]},
        "max_epochs": 4,
        "learning_rate": 0.05,
        "batch_size": 32,
        "data": {"train_limit": 200},
        "selection": {"algorithm": "random", "fraction": 0.2, "select_every": 2},
    }
    return {**base, **changes}


def fit(trainable: Any, params: dict[str, Any], folder: str, **options: Any) -> tune.ResultGrid:
    tuner = tune.Tuner(
        trainable,
        param_space=params,
        tune_config=tune.TuneConfig(reuse_actors=True, **options),
        run_config=tune.RunConfig(storage_path=folder, name="t", verbose=0),
    )
    return tuner.fit()


def test_arms_share_a_set_and_one_that_diverges_fails_alone(folder: str) -> None:
    params = space(history=f"{folder}/history", wait_s=0.2)
    shared = tune.with_parameters(
        ImageClassification, dataset=ImageClassification.load_dataset(params)
    )
    params["arm"] = tune.grid_search(["seed", "cached", "random_pb", "broken"])
    params["arms"] = {"broken": {"selector": "full"}}
    params["learning_rate"] = tune.sample_from(
        lambda spec: 1e30 if spec.config.arm == "broken" else 0.05
    )
    results = {result.config["arm"]: result for result in fit(shared, params, folder)}
    broken = results.pop("broken")
    assert "TrainingDivergedError" in str(broken.error)
    assert "lower the learning rate" in str(broken.error)
    for result in results.values():
        assert result.error is None
        assert result.metrics["epoch"] == 4
        assert result.metrics["done"]
    same = [results[arm].metrics["train_loss"] for arm in ("seed", "cached")]
    assert same[0] == same[1]
    frame = results["cached"].metrics_dataframe
    trained = frame[frame["waiting_for_interval"] < 0]
    assert trained["epoch"].tolist() == [1, 2, 3, 4]


def test_population_based_training_moves_checkpoints_between_trials(folder: str) -> None:
    scheduler = PopulationBasedTraining(
        time_attr="epoch",
        perturbation_interval=1,
        hyperparam_mutations={"learning_rate": [0.1, 0.01, 0.00001]},
        quantile_fraction=0.5,
    )
    params = space(learning_rate=tune.grid_search([0.1, 0.00001]), max_epochs=8)
    results = fit(
        ImageClassification, params, folder, scheduler=scheduler, metric="val_accuracy", mode="max"
    )
    assert not results.errors
    assert all(result.metrics["epoch"] == 8 for result in results)
    # The trial that could not learn (chance is 0.1) took over the other's weights.
    assert min(result.metrics["val_accuracy"] for result in results) > 0.2


class Asked(ImageClassification):
    """A trial that can be asked for the layout of its model's convolutions."""

    def convolutions_are_channels_last(self) -> list[bool]:
        """One answer for each convolution."""
        return [
            layer.weight.is_contiguous(memory_format=torch.channels_last)
            for layer in self.task.model.modules()
            if isinstance(layer, torch.nn.Conv2d)
        ]


def test_a_trial_of_ray_has_the_faster_layout() -> None:
    # Ray wraps each method of an actor's class, so a method there is not the one that it was.
    actor = ray.remote(num_cpus=1)(Asked).remote(space(model_settings={"channels": [8, 16]}))
    assert ray.get(actor.convolutions_are_channels_last.remote()) == [True, True]
    ray.kill(actor)


def test_public_names_import_lazily() -> None:
    assert trainables.ImageClassification is ImageClassification
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = trainables.Nonsense
