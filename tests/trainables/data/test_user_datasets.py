"""Image data from a function of the user's."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from trainables import ImageClassification
from trainables.data.collate import image_collate
from trainables.data.images import load_images
from trainables.data.user_datasets import UserImages


class Pictures(Dataset[Any]):
    """Grey pictures of three shades, with noise that is drawn anew at each reading."""

    def __init__(self, size: int, image_size: int = 8, *, noise: bool = False) -> None:
        self.size, self.image_size, self.noise = size, image_size, noise

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, position: int) -> tuple[Image.Image, int]:
        if position >= self.size:
            raise IndexError(position)
        shade = np.full((self.image_size, self.image_size), 60 + 60 * (position % 3))
        if self.noise:
            shade = shade + torch.randint(-20, 20, shade.shape).numpy()
        return Image.fromarray(shade.astype(np.uint8)), position % 3


def datasets(image_size: int | None = None, noise: bool = True) -> Any:
    size = image_size or 8
    return Pictures(60, size, noise=noise), Pictures(12, size), Pictures(15, size)


def train_alone() -> Any:
    return (Pictures(60),)


def by_name(root: str) -> Any:
    assert Path(root).is_absolute()
    return {"train": Pictures(30), "val": Pictures(9)}


def regression() -> Any:
    return TensorDataset(torch.randn(9, 1, 8, 8), torch.randn(9)), Pictures(9)


def loaded(name: str, **data: Any) -> UserImages:
    found = load_images({"name": f"{__name__}.{name}", **data})
    assert isinstance(found, UserImages)
    return found


def test_they_are_found_split_and_described() -> None:
    data = loaded("datasets", image_size=12, settings={"noise": False})
    assert (data.classes, data.channels, data.image_size) == (3, 1, 12)
    alone = loaded("train_alone", validation_fraction=0.2)
    assert (len(alone.train), len(alone.validation), alone.test) == (48, 12, None)
    assert torch.bincount(alone.labels).tolist() == [16, 16, 16]
    assert alone.identity != loaded("train_alone", validation_fraction=0.2, split_seed=1).identity
    assert len(loaded("by_name", root="somewhere").validation) == 9
    lines = ImageClassification.describe(data)
    assert "classes: 3: 0 (20), 1 (20), 2 (20)" in lines


def test_a_sweep_of_it_selects_and_replays_the_same_draws(tmp_path: Path) -> None:
    losses = []
    for arm in ("seed", "cached"):
        trial = ImageClassification({
            "arm": arm, "model": "small_cnn", "model_settings": {"channels": [4]}, "max_epochs": 2,
            "data": {"name": f"{__name__}:datasets"}, "batch_size": 8, "learning_rate": 0.05,
            "selection": {"fraction": 0.3, "select_every": 1},
            "history": str(tmp_path / "history"), "energy": False,
        })  # fmt: skip
        reports = [trial.step() for _ in range(2)]
        losses.append([report["train_loss"] for report in reports])
        assert {"val_accuracy", "test_accuracy"} <= set(reports[-1])
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("regression", {}, "whole numbers"),
        ("datasets", {"settings": {"colour": 1}}, "data.settings: .*colour"),
        ("datasets", {"label_noise": 0.1}, "data.label_noise: 0.1 does nothing to the datasets"),
        ("datasetts", {}, "did you mean datasets"),
        ("Pictures", {"settings": {"size": 3}}, r"must return \(train, validation, test\)"),
    ],
)
def test_what_does_not_do_is_named(name: str, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loaded(name, **data)


class Labelled(Dataset[Any]):
    """Pictures of noise with the labels that are given."""

    def __init__(self, labels: Sequence[Any]) -> None:
        self.given = labels

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, Any]:
        pixels = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(position))
        return pixels, self.given[position]


CLASSES = [0, 1, 2] * 20


def labelled(labels: dict[str, Any]) -> Any:
    return {name: Labelled([labels["names"][i % 3] for i in CLASSES]) for name in labels["splits"]}


@pytest.mark.parametrize(
    "names", [[1, 2, 3], [0, 10, 20], [-1, 0, 1], [7, 10**9, 10**12], [0.0, 1.0, 5.0], [3, 5, 4]]
)
def test_labels_become_classes_in_their_order(names: list[Any]) -> None:
    spec = {"names": names, "splits": ["train", "val", "test"]}
    data = loaded("labelled", settings={"labels": spec})
    assert (data.classes, data.class_names) == (3, tuple(str(int(n)) for n in sorted(names)))
    expected = [sorted(names).index(names[i]) for i in CLASSES]
    assert data.labels.tolist() == expected
    for part in (data.train, data.validation, data.test):
        assert data.collate([part[i] for i in range(9)])[1].tolist() == expected[:9]
    assert pickle.loads(pickle.dumps(data.collate)) == data.collate  # for worker processes
    plain = loaded("labelled", settings={"labels": {**spec, "names": [0, 1, 2]}})
    assert (plain.class_names, plain.collate) == ((), image_collate)


def test_a_trial_trains_on_labels_from_one() -> None:
    spec = {"names": [1, 2, 3], "splits": ["train", "val"]}
    trial = ImageClassification({
        "arm": "full", "model": "small_cnn", "model_settings": {"channels": [4]}, "max_epochs": 1,
        "data": {"name": f"{__name__}:labelled", "settings": {"labels": spec}}, "energy": False,
    })  # fmt: skip
    assert trial.step()["val_loss"] < 3
    assert trial.task.model(torch.rand(2, 1, 8, 8)).shape == (2, 3)


def broken(how: str) -> Any:
    if how == "key":
        raise KeyError("labels.csv")
    if how == "exit":
        sys.exit(3)
    if how == "fractions":
        return (Labelled([0.5, 1.5] * 9),)
    if how == "empty":
        return Labelled([0, 1] * 9), Labelled([])
    if how == "held out":
        return Labelled([0, 1] * 9), Labelled([0, 7])

    class Broken(Labelled):
        def __getitem__(self, position: int) -> Any:
            raise RuntimeError("disk")

    return Labelled([0, 1] * 9), Broken([0, 1])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("key", "the function raised KeyError: 'labels.csv'"),
        ("exit", "the function raised SystemExit: 3"),
        ("fractions", "classes must be whole numbers, got 0.5"),
        ("empty", "the validation set: dataset of type Labelled is empty"),
        ("held out", r"the validation set has 1 label\(s\) that no training example carries: 7"),
        ("items", "reading the validation set raised RuntimeError: disk"),
    ],
)
def test_what_their_code_does_ends_in_one_sentence(how: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loaded("broken", settings={"how": how})


def test_settings_are_a_functions_alone() -> None:
    with pytest.raises(ValueError, match="data.settings must be the keywords of a function"):
        load_images({"name": "digits", "settings": {"a": 1}})
    with pytest.raises(ValueError, match="did you mean digits"):
        load_images({"name": "digit"})
