"""Image data from a function of the user's: ``data: {name: my.module.datasets}``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainables.data.collate import image_collate, numbered_collate
from trainables.data.identity import DatasetIdentity
from trainables.data.items import Collate, item_labels
from trainables.data.settings.images import ImageSettings
from trainables.data.splits import VALIDATION_FRACTION, stratified_split
from tune_select.history.fingerprint import length_of
from tune_select.imports import import_string
from tune_select.storage import local_path

_OFFERED = ("root", "image_size", "download", "split_seed")
"""Settings that the function is given if its signature takes them."""


@dataclass(frozen=True)
class UserImages:
    """Datasets of (image, class); fields as those of ``ImageArrays``.

    Attributes:
        identity: The identity of the training split.
        settings: The ``data`` settings.
        train: Training split.
        validation: Split that searches optimise, or ``None``.
        test: Split for the report alone, or ``None``.
        labels: Classes of the training examples, int64 (n,).
        classes: Their number.
        channels: The channels of the images.
        image_size: Height and width, pixels.
        class_names: The training set's own ``classes``, or its labels where these are not the
            numbers of the classes, or empty.
        collate: Makes a batch of items, their labels numbered from 0 as they ascend in training.
    """

    identity: DatasetIdentity
    settings: ImageSettings
    train: Any
    validation: Any
    test: Any
    labels: Tensor
    classes: int
    channels: int
    image_size: int
    class_names: tuple[str, ...] = field(default=())
    collate: Collate = field(default_factory=lambda: image_collate)


def load_user_images(settings: ImageSettings) -> UserImages:
    """Call the function that ``data.name`` names, and find out what it returned.

    It returns the training, the validation and the test set, in this order or by these names; the
    last may be left out. Without a validation set, a stratified share (``validation_fraction``) is
    split off the training set by ``split_seed``.

    Args:
        settings: What stands under ``data``; the function gets those of ``root``, ``image_size``,
            ``download`` and ``split_seed`` that it takes, and ``settings``.

    Raises:
        ValueError: The function fails, or what it returns is not data of images and classes.
    """
    path = settings.name
    train, validation, test = _called(path, settings)
    with _users_code(path, "reading the training set"):
        labels = item_labels(train, image_collate)
    for name, part in (("validation", validation), ("test", test)):
        if part is not None:
            _check_labels(path, name, part, labels)
    if validation is None and settings.validation_fraction:
        kept, held_out = stratified_split(
            labels.numpy(),
            settings.validation_fraction,
            settings.split_seed,
            field=VALIDATION_FRACTION,
        )
        validation = torch.utils.data.Subset(train, held_out.tolist())
        train = torch.utils.data.Subset(train, kept.tolist())
        labels = labels[torch.from_numpy(kept)]
    present, numbers = torch.unique(labels, return_inverse=True)
    classes = len(present)
    if classes < 2:
        raise ValueError(
            f"data.name {path!r}: the training set's targets name {classes} class(es); a "
            "classifier needs at least 2"
        )
    with _users_code(path, "reading the training set"):
        image = image_collate([train[0]])[0]
    if image.ndim != 4 or image.shape[2] != image.shape[3]:
        raise ValueError(
            f"data.name {path!r}: images must be square, (C, S, S), got {tuple(image.shape[1:])}: "
            "crop or resize them in the dataset"
        )
    whole = getattr(train, "dataset", train)
    named = [str(name) for name in getattr(whole, "classes", ())]
    own = tuple(map(str, present.tolist()))
    if int(present[0]) >= 0 and int(present[-1]) < len(named):
        names = tuple(named[label] for label in present.tolist())
    else:  # without names of theirs, labels that are not their own numbers are the names
        names = () if own == tuple(map(str, range(classes))) else own
    return UserImages(
        identity=DatasetIdentity.of(train, name=path),
        settings=settings,
        train=train,
        validation=validation,
        test=test,
        labels=numbers,
        classes=classes,
        channels=int(image.shape[1]),
        image_size=int(image.shape[2]),
        class_names=names,
        collate=numbered_collate(path, present),
    )


def _check_labels(path: str, name: str, part: Any, training: Tensor) -> None:
    with _users_code(path, f"reading the {name} set"):
        unknown = sorted({*item_labels(part, image_collate).tolist()} - {*training.tolist()})
    if unknown:
        raise ValueError(
            f"data.name {path!r}: the {name} set has {len(unknown)} label(s) that no training "
            f"example carries: {', '.join(map(str, unknown[:5]))}; a classifier cannot learn them: "
            "leave these examples out"
        )


@contextmanager
def _users_code(path: str, doing: str) -> Iterator[None]:
    """Say whose code it is that fails; what raises a ValueError says it itself."""
    try:
        yield
    except (ValueError, KeyboardInterrupt):
        raise
    except BaseException as error:  # also what would end the process
        raise ValueError(
            f"data.name {path!r}: {doing} raised {type(error).__name__}: {error!s:.300}"
        ) from error


def _called(path: str, settings: ImageSettings) -> tuple[Any, Any, Any]:
    function = import_string(path, "data.name")
    if not callable(function):
        raise ValueError(f"data.name is {path!r}, which is not a function")
    takes = inspect.signature(function).parameters
    offered = {key: getattr(settings, key) for key in _OFFERED if key in takes}
    given = {key: value for key, value in offered.items() if value is not None}
    if "root" in given:
        given["root"] = local_path(given["root"])
    try:
        with _users_code(path, "the function"):
            made = function(**given, **settings.settings)
    except ValueError as error:
        if isinstance(error.__cause__, TypeError):
            raise ValueError(f"data.name {path!r} with data.settings: {error.__cause__}") from error
        raise
    if isinstance(made, Mapping):
        unknown = set(made) - {"train", "validation", "val", "test"}
        if unknown or "train" not in made:
            raise ValueError(
                f"data.name {path!r} returned {sorted(map(str, made))}; expected train and, if "
                "there are, validation and test"
            )
        found = [made["train"], made.get("validation", made.get("val")), made.get("test")]
    elif isinstance(made, Sequence) and not isinstance(made, str) and 1 <= len(made) <= 3:
        found = [*made, None, None][:3]
    else:
        raise ValueError(
            f"data.name {path!r} must return (train, validation, test) datasets, the last may be "
            f"left out; got a {type(made).__name__}"
        )
    for name, part in zip(("training", "validation", "test"), found, strict=True):
        try:
            length_of(part) if part is not None or name == "training" else 0
        except ValueError as error:
            raise ValueError(f"data.name {path!r}: the {name} set: {error}") from error
    return found[0], found[1], found[2]
