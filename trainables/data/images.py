"""Image data sets by name: embedded digits, torchvision's, and arrays of the user's own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trainables.checks import check_keys
from trainables.data.arrays import ImageArrays, Part, channels_first, prepare
from trainables.data.augmentation import augmentation_for, folder_augmentation
from trainables.data.image_folder import FolderImages, load_folder
from trainables.data.labels import class_numbers
from trainables.data.reading.listing import is_hidden
from trainables.data.splits import stratified_split
from trainables.data.transforms import transform_named
from trainables.data.user_datasets import UserImages, load_user_images
from tune_select.imports import is_import_string
from tune_select.storage import local_path
from tune_select.wording import did_you_mean

DEFAULTS: dict[str, Any] = {
    "name": "digits",
    "root": None,
    "download": False,
    "validation_fraction": 0.1,
    "split_seed": 0,
    "train_limit": None,
    "image_size": None,
    "layout": "auto",
    "augment": "auto",
    "transform": None,
    "test_fraction": 0.1,
    "settings": {},
    "extra": False,
    "label_noise": 0.0,
    "imbalance": None,
    "corruption_seed": 0,
    "workers": None,
    "broken": "error",
    "verify": "all",
    "background": "grey",
    "value_range": None,
}
"""Keys of ``data`` and their defaults.

``root`` defaults to ``$TUNE_SELECT_DATA``. ``augment`` is ``auto`` (what is customary for the data
set), false, or ``{pad: pixels, flip: bool, cutout: pixels}``; ``transform`` names one of the
user's own in its place, see ``trainables.data.transforms``. ``extra`` adds the 531,131 easier
examples of SVHN's third part to its training set. ``test_fraction`` is split off folders of images
that come without a split. ``settings`` are keywords for a function that ``name`` names.
``workers`` are the processes that read image files; ``None`` takes as many as the trial has CPUs.

Of image files alone: ``broken`` (``error`` or ``skip``) says what becomes of those that cannot be
read, ``verify`` (``all`` or ``headers``) how far each is read to find out; ``background`` and
``value_range`` are explained in ``trainables.data.reading.pictures``.
"""

_SHAPING_KEYS = frozenset(DEFAULTS) - {"download", "augment", "transform", "workers", "verify"}


def data_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Check ``data`` and fill in defaults.

    Raises:
        ValueError: An unknown key or a value out of range.
    """
    check_keys(data, set(DEFAULTS), "data.")
    settings = {**DEFAULTS, **data}
    for key in ("validation_fraction", "test_fraction"):
        fraction = settings[key]
        if not (isinstance(fraction, (int, float)) and 0 <= fraction < 1):
            raise ValueError(f"data.{key} must be in [0, 1), got {fraction!r}")
    if settings["extra"] not in (False, True) or (settings["extra"] and settings["name"] != "svhn"):
        raise ValueError(
            f"data.extra must be true or false, and is svhn's alone, got {settings['extra']!r} for "
            f"data.name={settings['name']!r}"
        )
    for key in ("train_limit", "image_size"):
        value = settings[key]
        if value is not None and (not isinstance(value, int) or value < 2):
            raise ValueError(f"data.{key} must be null or an integer of at least 2, got {value!r}")
    _check_own_code(settings)
    if settings["name"] == "image_folder":
        folder_augmentation(settings)
    else:
        augmentation_for(settings, str(settings["name"]), settings["image_size"] or 32)
    return settings


def _check_own_code(settings: Mapping[str, Any]) -> None:
    """Refuse what does not go with a transform, or with datasets, of the user's own."""
    own = is_import_string(settings["name"]) and "." in settings["name"].replace(":", ".")
    if not isinstance(settings["settings"], Mapping) or (settings["settings"] and not own):
        raise ValueError(
            "data.settings must be the keywords of a function that data.name names by import "
            f"string, got {settings['settings']!r} for data.name={settings['name']!r}"
        )
    if settings["transform"] is not None:
        transform_named(settings["transform"])
        if settings["augment"] != "auto":
            raise ValueError(
                f"data.augment={settings['augment']!r} and data.transform="
                f"{settings['transform']!r} both augment: leave one of them out"
            )
    if not own:
        return
    idle = ("augment", "transform", "train_limit", "label_noise", "imbalance")
    for key in idle:
        if settings[key] != DEFAULTS[key]:
            raise ValueError(
                f"data.{key}={settings[key]!r} does nothing to the datasets of "
                f"{settings['name']!r}: do it in that function"
            )


def same_data(loaded: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether a data set loaded with the settings ``loaded`` is what ``data`` describes."""
    wanted = data_settings(data)
    return all(loaded[key] == wanted[key] for key in _SHAPING_KEYS)


def load_images(data: Mapping[str, Any]) -> ImageArrays | FolderImages | UserImages:
    """Load the data set that ``data`` names.

    Raises:
        ValueError: An unknown name or key.
        FileNotFoundError: The files are not where they should be; says what to do.
    """
    settings = data_settings(data)
    name = settings["name"]
    if name == "arrays":
        return _load_arrays(settings)
    if name == "image_folder":
        return load_folder(settings, data_root(settings))
    if name not in _READERS:
        names = [*_READERS, "arrays", "image_folder"]
        if isinstance(name, str) and ("." in name or ":" in name):
            return load_user_images(settings)
        near = did_you_mean(name, names)
        raise ValueError(
            f"data.name must be one of {', '.join(names)}, or the import string of a function that "
            f"returns datasets; got {name!r}{f'; {near}' if near.startswith('did') else ''}"
        )
    train, test = _READERS[name](settings)
    return prepare(train, test, settings)


def data_root(settings: Mapping[str, Any]) -> Path:
    """The folder with the data files.

    Raises:
        ValueError: Neither ``data.root`` nor ``$TUNE_SELECT_DATA`` names one.
    """
    root = settings["root"] or os.environ.get("TUNE_SELECT_DATA")
    if not root:
        raise ValueError(
            f"data.root is not set for {settings['name']!r}: name the folder that holds it (or set "
            "TUNE_SELECT_DATA)"
        )
    return Path(local_path(root))


def _digits(settings: Mapping[str, Any]) -> tuple[Part, Part]:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, values 0 to 16; a fifth is test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = channels_first(digits.images.astype(np.uint8))
    everything = Part(images, digits.target.astype(np.int64))
    train, test = stratified_split(everything.labels, 0.2, seed=0)
    return everything.take(train), everything.take(test)


def _torchvision(
    class_name: str, split_key: str = "train", splits: tuple[Any, Any] = (True, False)
) -> Callable[[Mapping[str, Any]], tuple[Part, Part]]:
    def read(settings: Mapping[str, Any]) -> tuple[Part, Part]:
        root = data_root(settings)
        parts = [_read_torchvision(class_name, root, settings, {split_key: s}) for s in splits]
        return parts[0], parts[1]

    return read


def _svhn(settings: Mapping[str, Any]) -> tuple[Part, Part]:
    """SVHN, its training set with the extra part where that is wanted (Jiang et al. 2019, 4.1)."""
    names = ("train", "test", "extra") if settings["extra"] else ("train", "test")
    root = data_root(settings)
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


def _imagenet32(settings: Mapping[str, Any]) -> tuple[Part, Part]:
    """ImageNet at 32 x 32 (Chrabaszcz et al. 2017) from its NumPy archives; the pickles stay shut.

    ``train_data_batch_1.npz`` to ``_10`` and ``val_data.npz``, as the authors publish them: rows of
    3,072 numbers, channels first, and labels from 1.
    """
    root = data_root(settings)
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
    class_name: str, root: Path, settings: Mapping[str, Any], split: dict[str, Any]
) -> Part:
    from torchvision import datasets

    try:
        with warnings.catch_warnings():
            # NumPy 2.4 deprecates how the CIFAR batches were pickled in 2009.
            warnings.simplefilter("ignore")
            found = getattr(datasets, class_name)(root, download=settings["download"], **split)
    except (RuntimeError, FileNotFoundError) as error:
        raise FileNotFoundError(
            f"data.name={settings['name']!r} was not found (or is damaged) in data.root={root}: "
            "put it there in torchvision's layout, name another root, or set data.download: true"
        ) from error
    labels = found.labels if class_name == "SVHN" else found.targets
    images = channels_first(np.asarray(found.data))
    return Part(images, np.asarray(labels, dtype=np.int64))


def _load_arrays(settings: dict[str, Any]) -> ImageArrays:
    path = data_root(settings)
    arrays = _open_arrays(path)
    missing = [k for k in ("x_train", "y_train", "x_test", "y_test") if k not in arrays]
    if missing:
        raise FileNotFoundError(
            f"data.root={path} has no {', '.join(missing)}: name: arrays needs x_train, y_train, "
            "x_test, y_test (and may have x_val, y_val)"
        )

    splits = ["train", "test"]
    if "x_val" in arrays and "y_val" in arrays:
        splits.append("val")
    given = {f"y_{split}": arrays[f"y_{split}"] for split in splits}
    names, labels = class_numbers(given, "y_train", path)

    def part(split: str) -> Part:
        images = channels_first(arrays[f"x_{split}"], settings["layout"])
        numbers = labels[f"y_{split}"]
        if len(images) != len(numbers):
            raise ValueError(
                f"x_{split} and y_{split} in {path} differ in length: {len(images)}, {len(numbers)}"
            )
        if not np.isfinite(images).all():
            raise ValueError(f"x_{split} in {path} holds NaN or infinite values: clean them first")
        return Part(images, numbers)

    validation = part("val") if "val" in splits else None
    return prepare(part("train"), part("test"), settings, validation, names)


def _open_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if path.is_dir():
        files = [file for file in sorted(path.glob("*.npy")) if not is_hidden(file.name)]
        return {file.stem: _open_array(file) for file in files}
    if not path.exists():
        raise FileNotFoundError(f"data.root={path} does not exist: name a .npz file or a folder")
    if not path.is_file():
        raise ValueError(f"data.root={path} is not a regular file: name a .npz file or a folder")
    try:
        # Opened here: NumPy forgets to close a file that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    # NumPy's own words are of headers and pickles; the user's are of the file.
    except (
        OSError,
        ValueError,
        EOFError,
        AttributeError,
        KeyError,
        TypeError,
        BadZipFile,
    ) as error:
        raise ValueError(
            f"data.root={path} is not a sound .npz file of numbers and text ({error}): write it "
            "with numpy.savez"
        ) from error


def _open_array(file: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{file} is not a sound .npy file of numbers or text ({error}): write it with "
            "numpy.save"
        ) from error
    return array


_READERS: dict[str, Callable[[Mapping[str, Any]], tuple[Part, Part]]] = {
    "digits": _digits,
    "cifar10": _torchvision("CIFAR10"),
    "cifar100": _torchvision("CIFAR100"),
    "svhn": _svhn,
    "imagenet32": _imagenet32,
    "mnist": _torchvision("MNIST"),
    "fashion_mnist": _torchvision("FashionMNIST"),
}
