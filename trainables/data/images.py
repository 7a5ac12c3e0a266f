"""Image data sets by name: embedded digits, torchvision's, and arrays of the user's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.arrays import ImageArrays, Part, channels_first, prepare
from trainables.data.image_folder import FolderImages, load_folder
from trainables.data.labels import class_numbers
from trainables.data.reading.array_files import read_arrays
from trainables.data.settings.images import ImageSettings
from trainables.data.splits import stratified_split
from trainables.data.user_datasets import UserImages, load_user_images


def load_images(
    data: Mapping[str, Any] | ImageSettings,
) -> ImageArrays | FolderImages | UserImages:
    """Load the data set that ``data`` names; its keys are those of ``ImageSettings``.

    Raises:
        ValueError: An unknown name or key.
        FileNotFoundError: The files are not where they should be; says what to do.
    """
    settings = ImageSettings.of(data)
    if settings.name == "arrays":
        return _load_arrays(settings)
    if settings.name == "image_folder":
        return load_folder(settings, settings.place())
    if settings.name not in _READERS:
        return load_user_images(settings)
    train, test = _READERS[settings.name](settings)
    return prepare(train, test, settings)


def _digits(settings: ImageSettings) -> tuple[Part, Part]:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, values 0 to 16; a fifth is test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = channels_first(digits.images.astype(np.uint8))
    everything = Part(images, digits.target.astype(np.int64))
    train, test = stratified_split(everything.labels, 0.2, seed=0)
    return everything.take(train), everything.take(test)


def _torchvision(
    class_name: str, split_key: str = "train", splits: tuple[Any, Any] = (True, False)
) -> Callable[[ImageSettings], tuple[Part, Part]]:
    def read(settings: ImageSettings) -> tuple[Part, Part]:
        root = settings.place()
        parts = [_read_torchvision(class_name, root, settings, {split_key: s}) for s in splits]
        return parts[0], parts[1]

    return read


def _svhn(settings: ImageSettings) -> tuple[Part, Part]:
    """SVHN, its training set with the extra part where that is wanted (Jiang et al. 2019, 4.1)."""
    names = ("train", "test", "extra") if settings.extra else ("train", "test")
    root = settings.place()
    train, test, *extra = (
        _read_torchvision("SVHN", root, settings, {"split": name}) for name in names
    )
    if extra:
        images, labels = (
            np.concatenate([getattr(part, key) for part in (train, *extra)])
            for key in ("images", "labels")
        )
        train = Part(images, labels)
    return train, test


def _imagenet32(settings: ImageSettings) -> tuple[Part, Part]:
    """ImageNet at 32 x 32 (Chrabaszcz et al. 2017) from its NumPy archives; the pickles stay shut.

    ``train_data_batch_1.npz`` to ``_10`` and ``val_data.npz``, as the authors publish them: rows of
    3,072 numbers, channels first, and labels from 1.
    """
    root = settings.place()
    found = sorted(root.glob("train_data_batch_*.npz")), sorted(root.glob("val_data.npz"))
    if not all(found):
        raise FileNotFoundError(
            f"data.root={root} lacks train_data_batch_*.npz or val_data.npz: put the NumPy version "
            "of ImageNet-32 there"
        )

    def part(files: list[Path]) -> Part:
        batches = [np.load(file, allow_pickle=False) for file in files]
        images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([batch["labels"] for batch in batches]).astype(np.int64) - 1
        return Part(images.astype(np.uint8, copy=False), labels)

    return part(found[0]), part(found[1])


def _read_torchvision(
    class_name: str, root: Path, settings: ImageSettings, split: dict[str, Any]
) -> Part:
    from torchvision import datasets

    try:
        with warnings.catch_warnings():
            # NumPy 2.4 deprecates how the CIFAR batches were pickled in 2009.
            warnings.simplefilter("ignore")
            found = getattr(datasets, class_name)(root, download=settings.download, **split)
    except (RuntimeError, FileNotFoundError) as error:
        raise FileNotFoundError(
            f"data.name={settings.name!r} was not found (or is damaged) in data.root={root}: "
            "put it there in torchvision's layout, name another root, or set data.download: true"
        ) from error
    labels = found.labels if class_name == "SVHN" else found.targets
    images = channels_first(np.asarray(found.data))
    return Part(images, np.asarray(labels, dtype=np.int64))


def _load_arrays(settings: ImageSettings) -> ImageArrays:
    path = settings.place()
    arrays, left_out = read_arrays(path)
    splits = [name.removeprefix("x_") for name in arrays if name.startswith("x_")]
    given = {f"y_{split}": arrays[f"y_{split}"] for split in splits}
    names, labels = class_numbers(given, "y_train", path)

    def part(split: str) -> Part:
        with np.errstate(over="ignore"):  # looked for below
            images = channels_first(arrays[f"x_{split}"], settings.layout)
        if not np.isfinite(images).all():
            raise ValueError(
                f"x_{split} in {path} holds NaN or infinite values (or such as 32 bits cannot "
                "hold): clean them first"
            )
        return Part(images, labels[f"y_{split}"])

    validation = part("val") if "val" in splits else None
    data = prepare(part("train"), part("test"), settings, validation, names)
    return replace(data, left_out=left_out)


_READERS: dict[str, Callable[[ImageSettings], tuple[Part, Part]]] = {
    "digits": _digits,
    "cifar10": _torchvision("CIFAR10"),
    "cifar100": _torchvision("CIFAR100"),
    "svhn": _svhn,
    "imagenet32": _imagenet32,
    "mnist": _torchvision("MNIST"),
    "fashion_mnist": _torchvision("FashionMNIST"),
}
