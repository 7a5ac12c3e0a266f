from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from trainables.data.tabular import load_table
from trainables.models.mlp import MLP
from trainables.studies.gradient_quality import (
    agreement,
    full_gradient,
    gradient_errors,
    histogram,
    main,
    measure_sweep,
    summarised,
)
from trainables.tasks.regression import RegressionTask
from tune_select.selection.minibatch import selector_named
from tune_select.sweep.yaml_file import parse_sweep

DATA = os.environ.get("TUNE_SELECT_DATA")


@pytest.fixture(scope="module")
def task() -> RegressionTask:
    torch.manual_seed(0)
    return RegressionTask(MLP(1, (8,)), load_table({"name": "linear", "train_size": 200}))


def test_full_gradient_is_that_of_the_mean_loss(task: RegressionTask) -> None:
    losses = task.losses(task.batch(torch.arange(task.train_size)))
    expected = torch.autograd.grad(losses.mean(), list(task.model.parameters()))
    torch.testing.assert_close(full_gradient(task), torch.cat([g.flatten() for g in expected]))


def test_keeping_everything_of_everything_makes_no_error(task: RegressionTask) -> None:
    errors = gradient_errors(
        task,
        {name: selector_named(name) for name in ("uniform", "big_loss")},
        batch_size=task.train_size,
        keep=1.0,
        batches=2,
    )
    assert len(errors) == 4
    assert float(errors["relative_squared_error"].max()) < 1e-9


def test_error_of_uniform_batches_is_their_variance(task: RegressionTask) -> None:
    m, n = 10, task.train_size
    gradients = []
    for i in range(n):
        loss = task.losses(task.batch(torch.tensor([i])))[0]
        grads = torch.autograd.grad(loss, list(task.model.parameters()))
        gradients.append(torch.cat([g.flatten() for g in grads]))
    spread = torch.stack(gradients)
    variance = float((spread - spread.mean(0)).square().sum(1).mean())
    expected = variance / m * (n - m) / (n - 1)  # m of n without replacement
    errors = gradient_errors(
        task, {"uniform": selector_named("uniform")}, batch_size=40, keep=0.25, batches=400
    )
    assert set(errors["chosen"]) == {m}
    mean, deviation = errors["squared_error"].mean(), errors["squared_error"].std()
    assert abs(mean - expected) < 4 * deviation / 400**0.5


def test_strategies_see_the_same_batches_and_repeat(task: RegressionTask) -> None:
    def measure(*names: str) -> pd.DataFrame:
        strategies = {name: selector_named(name) for name in names}
        return gradient_errors(task, strategies, batch_size=40, keep=0.25, batches=5)

    alone, together = measure("big_loss"), measure("uniform", "big_loss")
    pd.testing.assert_frame_equal(
        alone, together[together["strategy"] == "big_loss"].reset_index(drop=True)
    )
    assert set(summarised(together)["strategy"]) == {"uniform", "big_loss"}
    counts = histogram(together, bins=4).groupby("strategy")["count"].sum()
    assert counts.tolist() == [5, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 0.0}, "keep must be in"),
        ({"batch_size": 500}, r"batch_size must be in \[1, 180\]"),
    ],
)
def test_bad_arguments(task: RegressionTask, change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"batch_size": 40, "keep": 0.5, "batches": 1} | change
    with pytest.raises(ValueError, match=message):
        gradient_errors(task, {"uniform": selector_named("uniform")}, **arguments)


def test_a_sweep_is_measured_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "name: errors\n"
        "trainable: trainables.TabularRegression\n"
        "data: {name: linear, train_size: 200}\n"
        "train: {batch_size: 40, max_epochs: 20, device: cpu}\n"
        "selection: {fraction: 0.25}\n"
        "arms: [full, uniform, {name: sharp, selector: selective_backprop_fixed}]\n"
        "space: {learning_rate: [1e-2]}\n"
        "tune: {seeds: [0, 1]}\n"
    )
    main([str(tmp_path / "sweep.yaml"), str(tmp_path / "errors.csv"), "--batches", "3"])
    errors = pd.read_csv(tmp_path / "errors.csv")
    assert set(errors["epoch"]) == {0}
    assert errors.groupby(["strategy", "seed"]).size().to_dict() == {
        (name, seed): 3 for name in ("uniform", "sharp") for seed in (0, 1)
    }


def test_agreement_by_hand() -> None:
    whole = torch.tensor([3.0, -4.0, 0.0, 0.0])
    cosine, same = agreement(torch.tensor([3.0, 4.0, 9.0, 0.0]), whole)
    assert cosine == pytest.approx((9 - 16) / (5 * math.sqrt(106)))
    assert same == 0.5  # of the two components that the mini-batch reaches
    assert agreement(2 * whole, whole) == pytest.approx((1.0, 1.0))
    assert math.isnan(agreement(torch.zeros(4), whole)[0])
    assert all(map(math.isnan, agreement(whole, torch.zeros(4))))


def test_all_of_a_mini_batch_agrees_with_it_before_and_after_training() -> None:
    sweep = parse_sweep(
        {
            "name": "agreement",
            "trainable": "trainables.TabularRegression",
            "data": {"name": "linear", "train_size": 200},
            "train": {"batch_size": 40, "max_epochs": 2, "device": "cpu"},
            "selection": {"fraction": 1.0, "select_every": 2},
            "arms": ["full", "uniform"],
            "space": {"learning_rate": [0.01]},
        }
    )
    errors = measure_sweep(sweep, batches=3, epochs=(2, 0))
    all_of_it = errors[errors["strategy"] == "uniform"]
    assert all_of_it["epoch"].tolist() == [0, 0, 0, 2, 2, 2]
    assert all_of_it["cosine"].tolist() == pytest.approx([1.0] * 6, abs=1e-5)
    first, last = (all_of_it.loc[all_of_it["epoch"] == e, "squared_error"] for e in (0, 2))
    assert set(first).isdisjoint(last)  # it was trained in between
    assert summarised(errors)[["strategy", "epoch", "count"]].to_numpy().tolist() == [
        ["uniform", 0, 3],
        ["uniform", 2, 3],
    ]
    with pytest.raises(ValueError, match=r"between 0 and train.max_epochs=2, got 0,3"):
        measure_sweep(sweep, batches=3, epochs=(0, 3))


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="TUNE_SELECT_DATA is not set")
def test_gradient_matching_beats_uniform_beats_big_loss_on_mnist() -> None:
    """Balles et al., Fig. 3, at random initialisations of LeNet."""
    sweep = parse_sweep(
        {
            "name": "gradient-errors",
            "space": {"learning_rate": [0.01]},
            "data": {"name": "mnist", "root": DATA, "train_limit": 10_000},
            "train": {"model": "lenet", "batch_size": 128, "max_epochs": 20, "device": "cpu"},
            "selection": {"fraction": 0.25},
            "arms": ["uniform", "big_loss", "gradient_matching"],
            "tune": {"seeds": [0, 1, 2]},
        }
    )
    errors = measure_sweep(sweep, batches=30)
    means = errors.groupby(["seed", "strategy"])["squared_error"].mean().unstack()
    assert (means["gradient_matching"] < means["uniform"]).all()
    assert (means["uniform"] < means["big_loss"]).all()
