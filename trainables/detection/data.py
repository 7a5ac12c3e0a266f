"""The splits of a detection data set by name, as all trials of a sweep share them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.description import alike, identity_line, left_out
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.reading.pictures import Decoding
from trainables.detection.coco import read_coco
from trainables.detection.dataset import DetectionSet
from trainables.detection.images import ImageFiles
from trainables.detection.settings import DetectionSettings
from trainables.detection.synthetic import SHAPES, shapes

_logger = logging.getLogger(__name__)
_STATISTICS_SAMPLE = 200
"""Pictures read for the channel statistics: 200 give means to a fraction of a level."""


@dataclass(frozen=True)
class DetectionData:
    """The three splits and what identifies the training one.

    Attributes:
        identity: The identity of the training split, for histories.
        settings: What stood under ``data``.
        train: Only pictures with a box to train on.
        validation: May be empty.
        test: All pictures.
        pixel_mean: The mean of the pixels by channel, 0..255.
        pixel_std: The same.
    """

    identity: DatasetIdentity
    settings: DetectionSettings
    train: DetectionSet
    validation: DetectionSet
    test: DetectionSet
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]

    def split(self, name: str) -> DetectionSet:
        """``train``, ``validation`` or ``test``."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def load_detection(data: Mapping[str, Any] | DetectionSettings) -> DetectionData:
    """Load the data set that ``data`` names; its keys are those of ``DetectionSettings``.

    Raises:
        ValueError: An unknown key, or a damaged or empty set.
        FileNotFoundError: Something is not where it should be.
    """
    settings = DetectionSettings.of(data)
    if settings.name == "coco":
        train, test = _coco(settings)
    else:
        train, test = _shapes(settings)
    if settings.stored_size is not None:
        train, test = train.stored(settings.stored_size), test.stored(settings.stored_size)
    train, validation = _hold_out(train, settings.validation_fraction, settings.split_seed)
    everything, train = len(train), train.with_boxes()
    if len(train) < everything:
        _logger.info(
            "%s: %d pictures without a box are not trained on", train.name, everything - len(train)
        )
    mean, std = _statistics(train)
    shape: dict[str, Any] = {"annotations": train.fingerprint()}
    # Histories from before there was a choice keep their identity.
    if isinstance(train.images, ImageFiles) and train.images.decoding != Decoding():
        shape["decoding"] = repr(train.images.decoding)
    digest = fingerprint([train.image_ids], shape)
    identity = DatasetIdentity(train.name, len(train), digest)
    return DetectionData(identity, settings, train, validation, test, mean, std)


def describe_detection(data: DetectionData) -> list[str]:
    """Lines for people: pictures and boxes of each split, categories, and what was left out."""
    lines = [identity_line(data.identity)]
    for name in ("train", "validation", "test"):
        split = data.split(name)
        lines.append(
            f"{name}: {len(split):,} pictures, {len(split.boxes):,} boxes; left out or changed in "
            f"the file: {split.skipped}"
        )
        if name != "validation":  # of training's file, where it is said already
            lines += [f"{name}: {line}" for line in left_out(split.left_out)]
    lines += alike(category.name for category in data.train.categories)
    counts = np.bincount(data.train.labels, minlength=data.train.class_count)[1:]
    named = zip(data.train.categories, counts.tolist(), strict=True)
    boxes = ", ".join(f"{category.name} ({count:,})" for category, count in named)
    return [*lines, f"categories: {len(counts)}, with boxes to train on: {boxes}"]


def _coco(settings: DetectionSettings) -> tuple[DetectionSet, DetectionSet]:
    root = settings.place()
    if settings.root is None:
        root = root / "coco"
    keys = ("categories", "fraction", "broken", "verify")
    choice: dict[str, Any] = {key: getattr(settings, key) for key in keys}
    decoding = settings.decoding
    train = read_coco(
        root, settings.train_split, images=settings.images, decoding=decoding, **choice
    )
    if isinstance(train.images, ImageFiles):  # brightness means the same in both splits
        decoding = train.images.decoding
    test = read_coco(root, settings.test_split, decoding=decoding, **choice)
    if train.categories != test.categories:
        raise ValueError(
            f"{root}: {settings.train_split} and {settings.test_split} list different "
            "categories; one detector cannot serve both"
        )
    return train, test


def _shapes(settings: DetectionSettings) -> tuple[DetectionSet, DetectionSet]:
    kinds = SHAPES[: settings.shapes]
    train, test = (
        shapes(size, seed=seed, size_px=settings.image_size, shapes=kinds)
        for size, seed in ((settings.train_size, 0), (settings.test_size, 1))
    )
    return train, test


def _hold_out(train: DetectionSet, fraction: float, seed: int) -> tuple[DetectionSet, DetectionSet]:
    """Training and validation pictures; positions ascend in both."""
    held_out = round(fraction * len(train))
    if held_out == len(train):
        raise ValueError(
            f"data.validation_fraction={fraction} leaves none of {len(train)} pictures for training"
        )
    if fraction > 0 and held_out == 0:
        raise ValueError(
            f"data.validation_fraction={fraction} of {len(train)} pictures is none: raise it, or "
            "set it to 0 for no validation split"
        )
    order = np.random.default_rng(seed).permutation(len(train))
    return train.take(np.sort(order[held_out:])), train.take(np.sort(order[:held_out]))


def _statistics(
    train: DetectionSet,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each channel over evenly spread training pictures."""
    step = max(1, len(train) // _STATISTICS_SAMPLE)
    sums: NDArray[np.float64] = np.zeros((2, 3))
    pixels = 0
    for position in range(0, len(train), step):
        values = train.images.read(position).double().flatten(1)
        sums += np.stack([values.sum(1).numpy(), values.square().sum(1).numpy()])
        pixels += values.shape[1]
    mean = sums[0] / pixels
    std = np.sqrt(np.maximum(sums[1] / pixels - mean**2, 1.0))
    red, green, blue = mean.tolist()
    return (red, green, blue), (float(std[0]), float(std[1]), float(std[2]))
