"""Image data sets that fit into memory, as NumPy arrays that trials share without copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from trainables.data.corruption import corrupt
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.reading.omissions import Omission
from trainables.data.settings.images import ImageSettings
from trainables.data.splits import VALIDATION_FRACTION, stratified_split


@dataclass(frozen=True)
class Part:
    """One split.

    Attributes:
        images: uint8 or float32 (n, C, H, W).
        labels: int64 (n,).
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: NDArray[np.int64]) -> Part:
        """A copy of the examples at ``positions``."""
        return Part(self.images[positions], self.labels[positions])


@dataclass(frozen=True)
class ImageArrays:
    """A data set ready for training; plain arrays, so Ray's object store shares it uncopied.

    Attributes:
        identity: The identity of the training split.
        settings: The ``data`` settings that shaped it.
        train: Training split.
        validation: Split that searches optimise; may be empty.
        test: Split for the report alone.
        classes: Number C of classes.
        mean: float32 (channels,) of the training split, in the images' own units.
        std: float32 (channels,), 1 where a channel is constant.
        class_names: The data set's own labels by class number; empty where they are the numbers.
        left_out: What of the files is not read.
    """

    identity: DatasetIdentity
    settings: ImageSettings
    train: Part
    validation: Part
    test: Part
    classes: int
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    class_names: tuple[str, ...] = ()
    left_out: tuple[Omission, ...] = ()

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.train.images.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width of the images, in pixels."""
        return int(self.train.images.shape[2])


def prepare(
    train: Part,
    test: Part,
    settings: ImageSettings,
    validation: Part | None = None,
    class_names: tuple[str, ...] = (),
) -> ImageArrays:
    """Resize, split, limit, corrupt, measure and fingerprint a data set.

    Args:
        train: The data set's own training examples.
        test: Its test examples.
        settings: What stands under ``data``.
        validation: Given validation examples; otherwise a stratified share of ``train``.
        class_names: Labels that the classes were numbered from, where they are not the numbers.

    Raises:
        ValueError: Fewer than two classes, or a label without examples to train on.
    """
    train, test = _resized(train, settings), _resized(test, settings)
    seed = settings.split_seed
    if validation is None:
        kept, held_out = stratified_split(
            train.labels, settings.validation_fraction, seed, field=VALIDATION_FRACTION
        )
        validation, train = train.take(held_out), train.take(kept) if len(held_out) else train
    else:
        validation = _resized(validation, settings)
    limit = settings.train_limit
    if limit is not None and limit < len(train):
        _, chosen = stratified_split(train.labels, limit / len(train), seed)
        train = train.take(chosen)
    _check_shapes(settings.name, train, validation, test)
    classes = _classes(settings.name, train, validation, test)
    shape: dict[str, Any] = {"classes": classes}
    if class_names:
        shape["labels"] = class_names
    clean = fingerprint([train.images, train.labels], shape)
    corruption = settings.corruption
    if corruption.changes_anything:
        positions, labels = corrupt(torch.tensor(train.labels), corruption, classes)
        train = Part(train.images[positions.numpy()], labels.numpy())
    mean, std = channel_statistics(train.images)
    identity = DatasetIdentity(settings.name, len(train), corruption.fingerprint(clean))
    return ImageArrays(identity, settings, train, validation, test, classes, mean, std, class_names)


def channel_statistics(
    images: NDArray[Any],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation by channel; (channels,) each.

    Bytes are counted instead of converted: exact, and without a float copy of the data set.
    """
    means, deviations = [], []
    for channel in range(images.shape[1]):
        plane = images[:, channel]
        if images.dtype == np.uint8:
            counts = np.bincount(plane.reshape(-1), minlength=256) / plane.size
            mean = float(counts @ np.arange(256))
            deviation = float(np.sqrt(counts @ (np.arange(256) - mean) ** 2))
        else:
            mean = float(plane.mean(dtype=np.float64))
            deviation = float(plane.std(dtype=np.float64))
        means.append(mean)
        deviations.append(deviation if deviation > 0 else 1.0)
    return np.array(means, np.float32), np.array(deviations, np.float32)


def channels_first(images: NDArray[Any], layout: str = "auto") -> NDArray[Any]:
    """Images as contiguous (n, C, H, W), uint8 or float32.

    Args:
        images: (n, H, W), (n, C, H, W) or (n, H, W, C).
        layout: ``auto`` takes a last dimension of 1, 3 or 4 for channels unless the second one
            is of that size too; ``nchw`` and ``nhwc`` say so.

    Raises:
        ValueError: Another number of dimensions, or a shape that may be read both ways.
    """
    if images.ndim == 3:
        images, layout = images[:, None], "nchw"
    if images.ndim != 4:
        raise ValueError(f"images must have 3 or 4 dimensions, got shape {images.shape}")
    if layout == "auto":
        first, last = images.shape[1] in (1, 3, 4), images.shape[3] in (1, 3, 4)
        if first == last:
            raise ValueError(
                f"cannot tell the channels of images of shape {images.shape}: set data.layout to "
                "nchw or nhwc"
            )
        layout = "nhwc" if last else "nchw"
    if layout == "nhwc":
        images = images.transpose(0, 3, 1, 2)
    elif layout != "nchw":
        raise ValueError(f"data.layout must be auto, nchw or nhwc, got {layout!r}")
    kind = np.uint8 if images.dtype == np.uint8 else np.float32
    return np.ascontiguousarray(images, dtype=kind)


def area_resize(images: NDArray[Any], size: int) -> NDArray[Any]:
    """Images (n, C, H, W) resized to ``size`` x ``size`` by averaging areas; bytes stay bytes."""
    if images.shape[-2:] == (size, size):
        return images
    resized = np.empty((*images.shape[:2], size, size), images.dtype)
    for start in range(0, len(images), 4096):  # a block at a time: floats take four times the room
        block = torch.tensor(images[start : start + 4096]).float()
        block = functional.interpolate(block, size=(size, size), mode="area")
        if images.dtype == np.uint8:
            block = block.round_().clamp_(0, 255)
        resized[start : start + 4096] = block.numpy()
    return resized


def _resized(part: Part, settings: ImageSettings) -> Part:
    size = settings.image_size
    return part if size is None else Part(area_resize(part.images, size), part.labels)


def _check_shapes(name: str, *parts: Part) -> None:
    shapes = {part.images.shape[1:] for part in parts}
    if len(shapes) > 1 or any(shape[1] != shape[2] for shape in shapes):
        raise ValueError(
            f"data {name!r} has images of shapes {sorted(shapes)}: they must be square and of one "
            "shape; data.image_size resizes them"
        )


def _classes(name: str, train: Part, validation: Part, test: Part) -> int:
    present = np.unique(train.labels)
    everything = np.concatenate([p.labels for p in (train, validation, test)])
    if len(everything) and everything.min() < 0:
        raise ValueError(f"data {name!r} has the negative label {everything.min()}")
    classes = int(everything.max()) + 1 if len(everything) else 0
    if len(present) < 2:
        raise ValueError(
            f"data {name!r} has {len(present)} class(es) to train on; a classifier needs at least 2"
        )
    return classes
