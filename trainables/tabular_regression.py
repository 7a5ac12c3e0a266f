"""Regression on tables for ``tune.Tuner``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from trainables.base import SelectionTrainable
from trainables.data.description import describe_table
from trainables.data.settings.tables import TableSettings
from trainables.data.tabular import Table, load_table
from trainables.models.build import build_from
from trainables.settings.trial import TrialSettings
from trainables.tasks.regression import RegressionTask
from trainables.tasks.task import Task

_MODELS = {
    "mlp": "trainables.models.mlp.MLP",
    "linear": "trainables.models.mlp.linear",
}


class TabularRegression(SelectionTrainable):
    """Trains a regression model on the arm's rows; ``data`` is explained in ``load_table``."""

    metric: ClassVar[str] = "rmse"
    mode: ClassVar[Literal["min", "max"]] = "min"
    data_settings: ClassVar[type[TableSettings]] = TableSettings
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "mlp",
        "batch_size": 100,
        "data": {"name": "linear"},
    }

    @classmethod
    def load_dataset(cls, config: Mapping[str, Any]) -> Table:
        """The table that ``config["data"]`` names, for ``tune.with_parameters``."""
        return load_table(config.get("data", {}))

    @classmethod
    def describe(cls, dataset: Any) -> list[str]:
        """Lines for people on a loaded data set."""
        return describe_table(dataset)

    def make_model(self, settings: TrialSettings, dataset: Any) -> nn.Module:
        """The model that ``settings.model`` names; override for one of your own."""
        shape = {"num_features": len(dataset.features)}
        return build_from(
            _MODELS, settings.model, shape, settings.model_settings, weights=settings.weights
        )

    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """The regression model on its table."""
        return RegressionTask(self.make_model(settings, dataset), dataset, device)
