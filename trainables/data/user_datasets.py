"""Image data from a function of the user's: ``data: {name: my.module.datasets}``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainables.data.identity import DatasetIdentity
from trainables.data.items import item_labels
from trainables.data.settings.images import ImageSettings
from trainables.data.splits import stratified_split
from tune_select.history.fingerprint import length_of
from tune_select.imports import import_string
from tune_select.storage import local_path

_OFFERED = ("root", "image_size", "download", "split_seed")
"""Settings that the function is given if its signature takes them."""


@dataclass(frozen=True)
class UserImages:
    """Datasets of (image, class); fields as those of ``ImageArrays``.

    Attributes:
        identity: Of the training split.
        settings: The ``data`` settings.
        train: Training split.
        validation: Split that searches optimise, or ``None``.
        test: Split for the report alone, or ``None``.
        labels: Classes of the training examples, int64 (n,).
        classes: Their number.
        channels: Of the images.
        image_size: Height and width, pixels.
        class_names: The training set's own ``classes``, or empty.
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
    labels = item_labels(train, image_collate)
    if validation is None and settings.validation_fraction:
        kept, held_out = stratified_split(
            labels.numpy(), settings.validation_fraction, settings.split_seed
        )
        validation = torch.utils.data.Subset(train, held_out.tolist())
        train = torch.utils.data.Subset(train, kept.tolist())
        labels = labels[torch.from_numpy(kept)]
    classes = int(labels.max()) + 1
    if classes < 2 or int(labels.min()) < 0:
        raise ValueError(
            f"data.name {path!r}: the training set's targets name {classes} class(es); a "
            "classifier needs whole numbers from 0 of at least 2"
        )
    image = image_collate([train[0]])[0]
    if image.ndim != 4 or image.shape[2] != image.shape[3]:
        raise ValueError(
            f"data.name {path!r}: images must be square, (C, S, S), got {tuple(image.shape[1:])}: "
            "crop or resize them in the dataset"
        )
    whole = getattr(train, "dataset", train)
    names = getattr(whole, "classes", ())
    return UserImages(
        identity=DatasetIdentity.of(train, name=path),
        settings=settings,
        train=train,
        validation=validation,
        test=test,
        labels=labels,
        classes=classes,
        channels=int(image.shape[1]),
        image_size=int(image.shape[2]),
        class_names=tuple(map(str, names)) if len(names) == classes else (),
    )


def image_collate(items: list[Any]) -> tuple[Tensor, Tensor]:
    """Images float (B, C, H, W), bytes scaled to 0..1, and their classes int64 (B,).

    Raises:
        ValueError: An item is no pair of an image and a class, or images differ in shape.
    """
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ValueError(
                f"items of the datasets must be pairs (image, class), got a {type(item).__name__}"
            )
    images = [_image(image) for image, _ in items]
    if len({image.shape for image in images}) > 1:
        raise ValueError(
            f"images of shapes {sorted({tuple(i.shape) for i in images})} do not make a batch: "
            "crop or resize them in the dataset"
        )
    try:
        labels = torch.tensor([int(label) for _, label in items])
    except (TypeError, ValueError):
        raise ValueError(
            f"classes must be whole numbers, got {items[0][1]!r:.100}; a trainable of your own "
            "with DatasetTask takes other targets"
        ) from None
    return torch.stack(images), labels


def _image(image: Any) -> Tensor:
    if isinstance(image, Image.Image):
        image = np.array(image)
    if isinstance(image, np.ndarray):
        image = torch.from_numpy(np.ascontiguousarray(image))
        image = image[None] if image.ndim == 2 else image
        if image.shape[-1] in (1, 3, 4) and image.shape[0] not in (1, 3, 4):
            image = image.permute(2, 0, 1)
    if not isinstance(image, Tensor):
        raise ValueError(
            f"images must be pictures, arrays or tensors, got a {type(image).__name__}"
        )
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()


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
        made = function(**given, **settings.settings)
    except TypeError as error:
        raise ValueError(f"data.name {path!r} with data.settings: {error}") from error
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
    for part in found:
        if part is not None:
            length_of(part)
    return found[0], found[1], found[2]
