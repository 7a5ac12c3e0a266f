"""Every selector on every kind of task: a selector needs no line of task code."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from trainables.base import SelectionTrainable
from trainables.language_model import LanguageModel
from trainables.tabular_regression import TabularRegression
from trainables.text_classification import TextClassification
from tune_select.history import HistoryMismatchError
from tune_select.selection.minibatch import SELECTOR_NAMES as MINI_BATCH_NAMES

TRANSFORMER = {"width": 8, "heads": 2, "layers": 1, "feedforward": 8}
TASKS: dict[str, tuple[type[SelectionTrainable], dict[str, Any]]] = {
    "regression": (
        TabularRegression,
        {
            "data": {"name": "linear", "train_size": 80, "test_size": 20},
            "model": "linear",
        },
    ),
    "language": (
        LanguageModel,
        {
            "data": {"name": "grammar", "train_tokens": 500, "sequence_length": 6},
            "model_settings": TRANSFORMER,
            "sketch_size": 64,
        },
    ),
    "text": (
        TextClassification,
        {
            "data": {"name": "opinions", "train_size": 80, "test_size": 20},
            "model_settings": TRANSFORMER,
        },
    ),
}
WHOLE_DATASET_NAMES = ("random", "random_pb", "gradmatch", "gradmatch_pb", "craig", "glister")


@pytest.mark.parametrize(
    ("task", "arm"),
    [
        (task, arm)
        for task in TASKS
        for arm in (*WHOLE_DATASET_NAMES, *MINI_BATCH_NAMES)
        if arm != "glister" or task == "text"  # it is for classes alone
    ],
)
def test_two_epochs(task: str, arm: str) -> None:
    trainable_class, config = TASKS[task]
    trainable = trainable_class(
        {
            **config,
            "arm": arm,
            "device": "cpu",
            "batch_size": 16,
            "max_epochs": 2,
            "selection": {"fraction": 0.4, "select_every": 1},
        }
    )
    first, second = trainable.train(), trainable.train()
    size, metric = trainable.task.train_size, trainable.task.metric
    trainable.stop()
    assert second["done"]
    assert metric == trainable_class.metric
    for result in (first, second):
        assert math.isfinite(result["train_loss"])
        assert math.isfinite(result[f"val_{metric}"])
    assert math.isfinite(second[f"test_{metric}"])
    if arm in WHOLE_DATASET_NAMES:
        assert abs(second["subset_size"] - 0.4 * size) <= 16  # whole batches round
    else:
        assert second["subset_size"] == round(second["trained_share"] * size) > 0


@pytest.mark.parametrize("task", ["regression", "language"])
def test_a_selector_for_classes_alone_says_so(task: str) -> None:
    trainable_class, config = TASKS[task]
    trainable = trainable_class({**config, "arm": "glister", "device": "cpu", "max_epochs": 20})
    with pytest.raises(ValueError, match="glister needs the gradients of a plain softmax"):
        trainable.train()
    trainable.stop()


def test_classes_of_quantiles_are_matched_by_the_whole_layer() -> None:
    trainable_class, config = TASKS["regression"]
    trainable = trainable_class(
        {
            **config,
            "arm": "gradmatch_whole",
            "device": "cpu",
            "max_epochs": 20,
            "data": {**config["data"], "target_bins": 3},
        }
    )
    assert trainable.train()["subset_size"] == 7  # a tenth of 72
    trainable.stop()


@pytest.mark.parametrize("task", TASKS)
def test_a_history_replays_at_another_learning_rate(task: str, tmp_path: Path) -> None:
    trainable_class, config = TASKS[task]
    common = {
        **config,
        "device": "cpu",
        "max_epochs": 4,
        "history": str(tmp_path / "history"),
        "selection": {"algorithm": "gradmatch", "fraction": 0.4, "select_every": 2},
    }
    seed = trainable_class({**common, "arm": "seed"})
    published = [seed.train() for _ in range(4)]
    seed.stop()
    assert published[-1]["history_complete"]
    replay = trainable_class({**common, "arm": "cached", "learning_rate": 0.02})
    replayed = [replay.train() for _ in range(4)]
    replay.stop()
    sizes = [[report["subset_size"] for report in run] for run in (published, replayed)]
    assert sizes[0] == sizes[1]
    assert replayed[-1]["points_never_used"] == published[-1]["points_never_used"]
    changed = {**config["data"], "data_seed": 1}
    with pytest.raises(HistoryMismatchError, match="dataset fingerprint"):
        trainable_class({**common, "arm": "cached", "data": changed}).train()


@pytest.mark.parametrize("task", TASKS)
def test_arrays_shared_read_only_are_as_good(task: str) -> None:
    trainable_class, config = TASKS[task]
    loaded = trainable_class.load_dataset(config)
    # As Ray's object store hands them out: out-of-band buffers that cannot be written to.
    buffers: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(loaded, protocol=5, buffer_callback=buffers.append)
    shared = pickle.loads(packed, buffers=[bytes(buffer.raw()) for buffer in buffers])
    assert len(buffers) > 2
    reports = []
    for dataset in (loaded, shared):
        settings = trainable_class.check({**config, "arm": "full", "device": "cpu"}, dataset)
        assert trainable_class.fits(dataset, settings)
        trainable = trainable_class({**config, "arm": "full", "device": "cpu"})
        trainable.cleanup()
        trainable.setup({**config, "arm": "gradmatch", "device": "cpu"}, dataset=dataset)
        reports.append(trainable.step())
        trainable.cleanup()
    assert reports[0]["train_loss"] == reports[1]["train_loss"]


@pytest.mark.parametrize("task", TASKS)
def test_mixed_precision_learns_and_selects(task: str) -> None:
    trainable_class, config = TASKS[task]
    trainable = trainable_class(
        {**config, "arm": "gradmatch", "amp": "bf16", "device": "cpu", "max_epochs": 20}
    )
    report = trainable.train()
    trainable.stop()
    assert math.isfinite(report["train_loss"])
    assert math.isfinite(report["gradient_error"])
