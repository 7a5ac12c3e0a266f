from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.data.sentences import load_sentences
from trainables.models.transformer import TextTransformer
from trainables.proxy import main, recording_forgetting
from trainables.tabular_regression import TabularRegression
from trainables.text_classification import TextClassification
from trainables.text_task import TextTask
from tune_select.selection.forgetting import ForgettingEvents

SMALL = {"name": "opinions", "train_size": 100, "test_size": 20}


def test_events_are_those_of_the_training_predictions() -> None:
    torch.manual_seed(0)
    data = load_sentences(SMALL)
    model = TextTransformer(len(data.vocabulary), 2, data.max_length, width=8, feedforward=8)
    task = TextTask(model, data)
    batch = task.batch(torch.arange(task.train_size))
    answers = []
    model.train()
    with recording_forgetting(task) as record:
        for step in range(4):
            # A head whose bias swings from class to class forgets what it knew.
            with torch.no_grad():
                model.head.bias.copy_(torch.tensor([100.0, -100.0]) * (-1) ** step)
            task.losses(batch)
            answers.append(batch.targets == step % 2)
        model.eval()
        task.losses(batch)  # not counted
    events = torch.zeros(task.train_size, dtype=torch.int64)
    for before, after in itertools.pairwise(answers):
        events += (before & ~after).long()
    assert torch.equal(record.events, events)
    assert "losses" not in vars(task)
    model.train()
    task.losses(batch)
    assert torch.equal(record.events, events)


def test_the_record_of_a_run_serves_the_selector(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "name: proxy\n"
        "trainable: trainables.TextClassification\n"
        "data: {name: opinions, train_size: 100, test_size: 20}\n"
        "train: {max_epochs: 20, model_settings: {width: 8, feedforward: 8}, device: cpu}\n"
        "space: {learning_rate: [0.01]}\n"
    )
    path = tmp_path / "records" / "proxy.npz"
    threads = torch.get_num_threads()
    main(
        [
            str(tmp_path / "sweep.yaml"),
            str(path),
            "-o",
            "train.max_epochs=3",
            "-o",
            "selection.select_every=1",
        ]
    )
    torch.set_num_threads(threads)
    record = ForgettingEvents.load(path)
    trainable = TextClassification(
        {
            "arm": "forgetting",
            "data": SMALL,
            "max_epochs": 1,
            "model_settings": {"width": 8, "feedforward": 8},
            "selection": {
                "fraction": 0.2,
                "select_every": 1,
                "settings": {"forgetting": {"record": str(path)}},
            },
        }
    )
    assert trainable.train()["subset_size"] == 18
    trainable.stop()
    assert len(record) == 90
    assert np.isin(record.scores().numpy(), range(4)).all()


def test_real_numbers_cannot_be_forgotten() -> None:
    trainable = TabularRegression({"data": {"name": "linear", "train_size": 50}, "max_epochs": 20})
    with (
        recording_forgetting(trainable.task),
        pytest.raises(ValueError, match="need classes as targets, got real numbers"),
    ):
        trainable.train()
    trainable.stop()
