"""The task over tensors, and the README's examples, which are to run as printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import trainables
from tests.trainables.toy_tasks import loop, run
from trainables import TensorTask

README = Path(trainables.__file__).parent / "README.md"


def tensors(size: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(size) % 2
    return torch.randn(size, 4, generator=generator) + 2 * targets[:, None], targets


def test_it_trains_and_evaluates() -> None:
    torch.manual_seed(0)
    task = TensorTask(nn.Linear(4, 2), tensors(), tensors(10))
    reports = run(loop(task, max_epochs=6))
    assert reports[-1]["val_accuracy"] == 1.0
    assert "test_accuracy" not in reports[-1]  # no test split was given
    outputs = task.model(tensors(10)[0])
    expected = functional.cross_entropy(outputs, tensors(10)[1]).item()
    assert reports[-1]["val_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_identity_follows_the_training_tensors() -> None:
    inputs, targets = tensors()
    base = TensorTask(nn.Linear(4, 2), (inputs, targets)).dataset
    assert TensorTask(nn.Linear(4, 2), (inputs.clone(), targets)).dataset == base
    assert TensorTask(nn.Linear(4, 2), (inputs + 1, targets)).dataset != base
    assert base.size == 40


def test_lengths_must_agree() -> None:
    inputs, targets = tensors()
    with pytest.raises(ValueError, match="test has 40 inputs but 39 targets"):
        TensorTask(nn.Linear(4, 2), tensors(), test=(inputs, targets[1:]))


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_readmes_datasets_are_trained_on() -> None:
    (code,) = (block for block in blocks() if "class Lengths" in block)
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)
    trial = names["Lengths"](
        {"arm": "gradmatch", "max_epochs": 2, "selection": {"fraction": 0.3, "select_every": 1}}
    )
    reports = [trial.step() for _ in range(2)]
    assert reports[1]["val_close"] > 0
    assert reports[1]["train_loss"] < reports[0]["train_loss"]


def test_the_readmes_own_trainable_learns() -> None:
    (code,) = (block for block in blocks() if "class Wine" in block)
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)
    trial = names["Wine"](
        {"arm": "gradmatch", "max_epochs": 30, "selection": {"fraction": 0.3, "select_every": 10}}
    )
    report = trial.step()
    while not report["done"]:
        report = trial.step()
    assert report["test_accuracy"] > 0.85
    assert report["subset_size"] == 27
