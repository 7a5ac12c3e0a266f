"""Means over a split, and a fitted temperature, on a device without double precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.tune_select.selection.heads.single_precision import moved, on_mps
from trainables.tasks.evaluation import classifier_metrics
from trainables.tasks.look import Look
from trainables.tasks.task import Batch

SIZE = 20


def metrics(where: Any, model: nn.Module) -> dict[str, float]:
    torch.manual_seed(0)
    inputs, labels = where(torch.randn(SIZE, 4)), where(torch.arange(SIZE) % 3)

    def batches(index_batches: Iterable[Tensor], split: str) -> Iterator[Batch]:
        for indices in index_batches:
            yield Batch(indices, inputs[indices], labels[indices])

    task: Any = SimpleNamespace(
        look=Look(calibrated=True), model=model, eval_batch_size=8, batches=batches,
        autocast=nullcontext, split_labels=lambda split: torch.arange(SIZE) % 3,
    )  # fmt: skip
    return classifier_metrics(task, "validation", lambda batch: model(batch.inputs))


def test_what_is_measured_there_is_what_is_measured_here() -> None:
    torch.manual_seed(1)
    model = nn.Linear(4, 3)
    here = metrics(lambda tensor: tensor, model)
    there = metrics(on_mps, moved(model))
    assert there == pytest.approx(here, rel=1e-6)
    assert set(there) == {"loss", "accuracy", "calibrated_loss"}
