from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainables.data.tabular import Table, load_table
from trainables.models.mlp import MLP
from trainables.tabular_regression import TabularRegression
from trainables.tasks.regression import RegressionTask, quantile_edges

SMALL = {"name": "linear", "train_size": 300, "test_size": 100}


@pytest.fixture(scope="module")
def table() -> Table:
    return load_table(SMALL)


def trained(config: dict[str, Any]) -> dict[str, Any]:
    trainable = TabularRegression({"seed": 0, "device": "cpu", **config})
    try:
        while True:
            result: dict[str, Any] = trainable.train()
            if result["done"]:
                return result
    finally:
        trainable.stop()


def test_signals_are_the_gradients_that_autograd_gives(table: Table) -> None:
    torch.manual_seed(0)
    task = RegressionTask(MLP(1, (8,)), table)
    signals = task.signals()
    few = torch.arange(5)
    losses = task.losses(task.batch(few))
    head = task.head()
    for i in range(5):
        weight, bias = torch.autograd.grad(losses[i], [head.weight, head.bias], retain_graph=True)
        p, h = signals.output_gradients[i], signals.inputs[i]
        torch.testing.assert_close(p[:, None] * h, weight)
        torch.testing.assert_close(p, bias)
    assert signals.bias
    assert int(signals.labels.sum()) == 0
    torch.testing.assert_close(signals.losses[:5], losses.detach())


def test_rmse_is_in_target_units(table: Table) -> None:
    model = MLP(1, ())
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)  # predicts the training mean
    scores = RegressionTask(model, table).evaluate("test")
    targets = table.test.targets.astype(np.float64) * table.target_std + table.target_mean
    assert scores["rmse"] == pytest.approx(
        math.sqrt(np.mean((targets - table.target_mean) ** 2)), rel=1e-5
    )
    assert scores["loss"] == pytest.approx((scores["rmse"] / table.target_std) ** 2, rel=1e-5)


def test_quantile_labels_have_equal_shares() -> None:
    task = RegressionTask(MLP(1), load_table({**SMALL, "target_bins": 3}))
    assert torch.bincount(task.labels).tolist() == [90, 90, 90]
    assert set(task.split_labels("test").tolist()) <= {0, 1, 2}
    low = task.batch(torch.nonzero(task.labels == 0).flatten()).targets.max()
    assert low < task.batch(torch.nonzero(task.labels == 1).flatten()).targets.min()


def test_ties_make_fewer_bins() -> None:
    assert len(quantile_edges(np.array([0, 0, 0, 0, 1], np.float32), 3)) == 1


def test_an_empty_validation_split_reports_nothing() -> None:
    task = RegressionTask(MLP(1), load_table({**SMALL, "validation_fraction": 0.0}))
    assert task.evaluate("validation") == {}


@pytest.mark.parametrize("arm", ["full", "gradmatch", "random", "random_pb", "gradmatch_pb"])
def test_every_kind_of_arm_learns_the_line(arm: str) -> None:
    result = trained(
        {
            "arm": arm,
            "model": "linear",
            "data": {**SMALL, "noise": 0.5},
            "max_epochs": 15,
            "batch_size": 10,
            "learning_rate": 0.02,
            "momentum": 0.5,
            "selection": {"fraction": 0.3, "select_every": 5},
        }
    )
    assert result["epoch"] == 15
    # The noise is the floor; predicting the mean would leave 5.8.
    assert 0.4 < result["test_rmse"] < 0.75
    assert result["subset_size"] == (270 if arm in ("full", "big_loss") else 81)


def test_a_model_of_ones_own_and_its_mistakes(table: Table) -> None:
    result = trained(
        {"arm": "full", "model": "trainables.models.mlp.linear", "data": SMALL, "max_epochs": 1,
         "selection": {"select_every": 1}}
    )  # fmt: skip
    assert math.isfinite(result["val_rmse"])
    two = nn.Linear(1, 2)
    with pytest.raises(ValueError, match=r"must return \(4, 1\) predictions, got \(4, 2\)"):
        RegressionTask(two, table).losses(RegressionTask(two, table).batch(torch.arange(4)))
    with pytest.raises(ValueError, match=r"model must be one of mlp, linear or an import string"):
        TabularRegression({"model": "resnet", "data": SMALL})


def test_a_shared_table_is_used_only_where_it_fits(table: Table) -> None:
    for data, fitting in ((SMALL, True), ({**SMALL, "label_noise": 0.1}, False)):
        settings = TabularRegression.check({"data": data, "arm": "full"})
        assert TabularRegression.fits(table, settings) == fitting
