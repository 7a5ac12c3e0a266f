"""Regression on tables: squared error, and the root of its mean in target units."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.data.tabular import Rows, Table
from trainables.tasks.evaluation import split_means
from trainables.tasks.task import Batch, Split, Task
from tune_select.selection.heads.precision import double


class RegressionTask(Task):
    """Squared error of each row, in squared deviations of the training targets.

    ``rmse`` is in the target's own units. There are no classes: ``labels`` are all zero, so that a
    selector per class selects from all rows at once, or quantiles of the target where the table's
    ``target_bins`` is above 1.
    """

    metric: ClassVar[str] = "rmse"
    mode: ClassVar[Literal["min", "max"]] = "min"
    eval_batch_size = 4096

    def __init__(self, model: nn.Module, table: Table, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.dataset = table.identity
        self._std = table.target_std
        self._rows: dict[Split, Rows] = {
            "train": table.train,
            "validation": table.validation,
            "test": table.test,
        }
        bins = quantile_edges(table.train.targets, table.settings.target_bins)
        self._labels = {
            split: torch.from_numpy(np.searchsorted(bins, rows.targets, side="right"))
            for split, rows in self._rows.items()
        }
        self.labels = self._labels["train"]

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Features (B, d) and targets (B,); tables are not augmented."""
        positions, rows = indices.numpy(), self._rows[split]
        inputs = torch.from_numpy(rows.inputs[positions]).to(self.device)
        targets = torch.from_numpy(rows.targets[positions]).to(self.device)
        return Batch(indices, inputs, targets)

    def losses(self, batch: Batch) -> Tensor:
        """Squared error of each row."""
        predictions: Tensor = self.model(batch.inputs).float()
        if predictions.shape != (len(batch), 1):
            raise ValueError(
                f"a regression model must return ({len(batch)}, 1) predictions, got "
                f"{tuple(predictions.shape)} from {type(self.model).__name__}"
            )
        errors: Tensor = predictions.squeeze(1) - batch.targets
        return errors.square()

    def evaluate(self, split: Split) -> dict[str, float]:
        """Mean squared error in squared deviations, and its root in target units."""
        means = split_means(self, split, lambda batch: double(self.losses(batch)).sum()[None])
        if not means:
            return {}
        (loss,) = means
        return {"loss": loss, "rmse": math.sqrt(loss) * self._std}

    def split_labels(self, split: Split) -> Tensor:
        """Quantile of each row's target, or zeros."""
        return self._labels[split]


def quantile_edges(targets: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """The inner edges, at most ``bins`` - 1 of them, of bins with equally many targets each."""
    return np.unique(np.quantile(targets, np.arange(1, bins) / bins))
