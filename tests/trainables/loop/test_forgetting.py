"""Forgetting events recorded along full training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.toy_tasks import PointTask, loop, run
from trainables import ImageClassification
from trainables.loop.forgetting import ForgettingRecorder
from trainables.tasks.task import Batch
from tune_select.selection import Signals, selector_named


class Scripted(PointTask):
    """Predicts right or wrong as a table says, whatever it is trained on."""

    def __init__(self, right: torch.Tensor) -> None:
        super().__init__(right.shape[1], dropout=0.0)
        self.right, self.epoch = right, 0

    def losses(self, batch: Batch) -> torch.Tensor:
        if not self.model.training:
            return super().losses(batch)
        right = self.right[self.epoch][batch.indices]
        predicted = torch.where(right, self.labels[batch.indices], (batch.targets + 1) % 3)
        head = self.head()
        with torch.no_grad():  # scores that say ``predicted``, through the head as any model's
            head.weight.zero_()
            head.weight[:, :3] = torch.eye(3)
            head.bias.zero_()
        inputs = torch.zeros(len(batch), 8)
        inputs[:, :3] = torch.nn.functional.one_hot(predicted, 3)
        return torch.nn.functional.cross_entropy(head(inputs), batch.targets, reduction="none")


def test_events_are_counted_as_toneva_et_al_define_them(tmp_path: Path) -> None:
    right = torch.tensor(
        [  # epochs by examples: never learned, learned once, forgotten once, forgotten twice
            [0, 0, 1, 1],
            [0, 1, 0, 0],
            [0, 1, 1, 1],
            [0, 1, 1, 0],
        ],
        dtype=torch.bool,
    ).repeat(1, 5)
    task = Scripted(right)
    path = str(tmp_path / "record.npz")
    training = loop(task, max_epochs=4)
    training._forgetting = ForgettingRecorder(task, path)
    for epoch in range(4):
        task.epoch = epoch
        if epoch == 2:  # a restart in between loses nothing
            state = training.state_dict()
            training = loop(task, max_epochs=4)
            training._forgetting = ForgettingRecorder(task, path)
            training.load_state_dict(state)
        training.run_epoch()
    with np.load(path) as record:
        assert record["events"].tolist() == [0, 0, 1, 2] * 5
        assert record["learned"].tolist() == [False, True, True, True] * 5


def digits_config(**changes: Any) -> dict[str, Any]:
    base = {
        "model": "small_cnn",
        "model_settings": {"channels": [8]},
        "max_epochs": 3,
        "batch_size": 32,
        "data": {"train_limit": 200},
        "selection": {"fraction": 0.2, "select_every": 3},
    }
    return {**base, **changes}


def test_a_full_run_records_what_the_selector_reads(tmp_path: Path) -> None:
    path = str(tmp_path / "record.npz")
    proxy = ImageClassification(digits_config(arm="full", forgetting_record=path))
    while not proxy.step()["done"]:
        assert not Path(path).exists()
    selector = selector_named("forgetting", record=path)
    subset = selector.select(Signals.labels_only(proxy.task.labels), 40, torch.Generator())
    assert len(subset) == 40
    settings = {"forgetting": {"record": path}}
    selection = {"fraction": 0.2, "select_every": 3, "settings": settings}
    report = ImageClassification(digits_config(arm="forgetting", selection=selection)).step()
    assert report["subset_size"] == 40


def test_without_its_record_the_arm_says_what_to_run() -> None:
    with pytest.raises(ValueError, match="forgetting needs record"):
        ImageClassification.check(digits_config(arm="forgetting"))


def test_only_full_training_records(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"forgetting_record='x' needs arm full.*'random'"):
        ImageClassification.check(digits_config(arm="random", forgetting_record="x"))


def test_what_is_no_classifier_is_refused() -> None:
    class Regression(PointTask):
        def batch(self, *args: Any, **keywords: Any) -> Batch:
            batch = super().batch(*args, **keywords)
            return Batch(batch.indices, batch.inputs, [0.0] * len(batch))

        def losses(self, batch: Batch) -> torch.Tensor:
            return self.model(batch.inputs).square().mean(1)

    training = loop(Regression())
    training._forgetting = ForgettingRecorder(training.task, "unused")
    with pytest.raises(ValueError, match="forgetting_record needs a classifier"):
        run(training)
