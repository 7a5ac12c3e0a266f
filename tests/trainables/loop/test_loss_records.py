"""Which epochs are recorded, what the rows hold, and that training does not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from tests.trainables.toy_tasks import PointTask, loop, run, timeless
from trainables import ImageClassification
from trainables.base import LOSSES_FILE
from trainables.loop.loss_records import loss_rows
from trainables.tasks.single_examples import example_losses


def test_chosen_epochs_are_recorded_once_and_change_nothing() -> None:
    plain = [timeless(report) for report in run(loop(max_epochs=3))]
    recorded = loop(max_epochs=3, evaluation={"record_losses": [3, 1, 9]})
    reports, rows = [], []
    while not recorded.finished:
        reports.append(timeless(recorded.run_epoch()))
        rows.append(recorded.loss_records())
        assert recorded.loss_records() is None
    assert reports == plain
    assert [table is not None for table in rows] == [True, False, True]
    assert rows[2].column("epoch").unique().to_pylist() == [3]
    own, right = example_losses(recorded.task, "train")
    frame = rows[2].to_pandas()
    train = frame[frame["split"] == "train"]
    assert torch.equal(torch.tensor(train["loss"].to_numpy()), own)
    assert right is not None
    assert train["correct"].tolist() == right.tolist()
    assert train["example"].tolist() == list(range(60))


def test_a_test_split_that_is_never_looked_at_is_not_recorded() -> None:
    recorded = loop(max_epochs=1, evaluation={"record_losses": [1], "test": "never"})
    recorded.run_epoch()
    assert recorded.loss_records().column("split").unique().to_pylist() == ["train"]


def test_a_task_without_single_test_examples_records_its_training_ones() -> None:
    class Hidden(PointTask):
        def split_labels(self, split: Any) -> torch.Tensor:
            if split == "test":
                raise ValueError("unknown")
            return super().split_labels(split)

    assert loss_rows(Hidden(), 1).column("split").unique().to_pylist() == ["train"]


def test_a_trial_writes_its_file() -> None:
    trial = ImageClassification(
        {
            "model": "small_cnn",
            "model_settings": {"channels": [4]},
            "max_epochs": 2,
            "data": {"train_limit": 100},
            "arm": "uniform",
            "selection": {"fraction": 0.5, "select_every": 2},
            "evaluation": {"record_losses": [1, 2]},
        }
    )
    while not trial.step()["done"]:
        pass
    frame = pq.read_table(Path(trial.logdir) / LOSSES_FILE).to_pandas()
    assert set(frame["epoch"]) == {1, 2}
    last = frame[(frame["epoch"] == 2) & (frame["split"] == "test")]
    assert last["correct"].mean() == pytest.approx(trial.task.evaluate("test")["accuracy"])
    assert last["loss"].mean() == pytest.approx(trial.task.evaluate("test")["loss"], rel=1e-4)
    trial.stop()
