"""The splits of a detection data set by name, as all trials of a sweep share them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.checks import count, filled, limit, same_settings, share
from trainables.data.description import identity_line
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.images import data_root
from trainables.data.reading.pictures import Decoding, check_verify
from trainables.detection.coco import read_coco
from trainables.detection.dataset import DetectionSet
from trainables.detection.images import ImageFiles
from trainables.detection.synthetic import SHAPES, shapes
from trainables.detection.transforms import AUGMENTATIONS

DEFAULTS: dict[str, Any] = {
    "name": "shapes",
    "root": None,
    "validation_fraction": 0.1,
    "split_seed": 0,
    "train_split": "train2017",
    "test_split": "val2017",
    "categories": None,
    "images": None,
    "fraction": 1.0,
    "stored_size": None,
    "train_size": 400,
    "test_size": 100,
    "image_size": 128,
    "shapes": 3,
    "augmentation": "auto",
    "workers": "auto",
    "broken": "error",
    "verify": "all",
    "background": "grey",
    "value_range": None,
}
"""Keys of ``data`` and their defaults.

``name`` is ``shapes`` (synthetic) or ``coco`` (a folder, ``root`` or ``$TUNE_SELECT_DATA/coco``).
Both: ``validation_fraction`` of the training pictures are held out by ``split_seed``;
``augmentation`` is ``ssd``, ``crop``, ``flip``, ``none`` or ``auto`` (``ssd`` for COCO, ``flip``
for shapes); ``workers`` decode ahead (``auto``: 4 for files, 0 for pictures in memory).
COCO: ``train_split`` and ``test_split``; ``categories`` (names or ids), ``images`` (ids, of the
training split) and ``fraction`` (of both splits) choose; ``stored_size`` decodes everything once
and keeps it in memory at that size; ``broken`` (``error`` or ``skip``), ``verify`` (``all`` or
``headers``), ``background`` and ``value_range`` are those of image folders.
Shapes: ``train_size`` and ``test_size`` pictures, ``image_size`` pixels wide, of the first
``shapes`` kinds.
"""

_FEEDING_KEYS = frozenset({"augmentation", "workers", "verify"})
_KEYS_OF = {
    "coco": frozenset({"root", "train_split", "test_split", "categories", "images", "fraction"}),
    "shapes": frozenset({"train_size", "test_size", "image_size", "shapes"}),
}
_logger = logging.getLogger(__name__)
_STATISTICS_SAMPLE = 200
"""Pictures read for the channel statistics: 200 give means to a fraction of a level."""


@dataclass(frozen=True)
class DetectionData:
    """The three splits and what identifies the training one.

    Attributes:
        identity: Of the training split, for histories.
        settings: ``DEFAULTS`` with the sweep's own values.
        train: Only pictures with a box to train on.
        validation: May be empty.
        test: All pictures.
        pixel_mean: Per channel, 0..255.
        pixel_std: The same.
    """

    identity: DatasetIdentity
    settings: Mapping[str, Any]
    train: DetectionSet
    validation: DetectionSet
    test: DetectionSet
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]

    def split(self, name: str) -> DetectionSet:
        """``train``, ``validation`` or ``test``."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def data_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Check ``data`` and fill in defaults.

    Raises:
        ValueError: An unknown key or name, or a value out of range.
    """
    settings = filled(data, DEFAULTS)
    if settings["name"] not in ("shapes", "coco"):
        raise ValueError(f"data.name must be shapes or coco, got {settings['name']!r}")
    for other, keys in _KEYS_OF.items():
        misplaced = sorted(keys & set(data)) if other != settings["name"] else []
        if misplaced and settings[misplaced[0]] != DEFAULTS[misplaced[0]]:
            key = misplaced[0]
            raise ValueError(
                f"data.{key}={data[key]!r} is a setting of {other}, but data.name is "
                f"{settings['name']}: leave it out"
            )
    share(settings, "validation_fraction")
    limit(settings, "stored_size")
    for key in ("train_size", "test_size", "image_size"):
        count(settings, key)
    if count(settings, "shapes") > len(SHAPES):
        raise ValueError(f"data.shapes must be at most {len(SHAPES)}, got {settings['shapes']}")
    if settings["augmentation"] == "auto":
        settings["augmentation"] = "ssd" if settings["name"] == "coco" else "flip"
    if settings["workers"] == "auto":
        in_memory = settings["name"] == "shapes" or settings["stored_size"] is not None
        settings["workers"] = 0 if in_memory else 4
    if settings["augmentation"] not in AUGMENTATIONS:
        raise ValueError(
            f"data.augmentation must be one of {(*AUGMENTATIONS, 'auto')}, got "
            f"{settings['augmentation']!r}"
        )
    workers = settings["workers"]
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise ValueError(f"data.workers must be auto or a number of processes, got {workers!r}")
    return settings


def same_data(data: DetectionData, wanted: Mapping[str, Any]) -> bool:
    """Whether loaded splits are those that ``wanted`` describes (how they are fed aside)."""
    ours = {k: v for k, v in data.settings.items() if k not in _FEEDING_KEYS}
    return same_settings(ours, data_settings(wanted))


def load_detection(data: Mapping[str, Any]) -> DetectionData:
    """Load the data set that ``data`` names.

    Raises:
        ValueError: An unknown key, or a damaged or empty set.
        FileNotFoundError: Something is not where it should be.
    """
    settings = data_settings(data)
    if settings["name"] == "coco":
        train, test = _coco(settings)
    else:
        train, test = _shapes(settings)
    if settings["stored_size"] is not None:
        train, test = train.stored(settings["stored_size"]), test.stored(settings["stored_size"])
    train, validation = _hold_out(train, settings["validation_fraction"], settings["split_seed"])
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
    counts = np.bincount(data.train.labels, minlength=data.train.class_count)[1:]
    named = zip(data.train.categories, counts.tolist(), strict=True)
    boxes = ", ".join(f"{category.name} ({count:,})" for category, count in named)
    return [*lines, f"categories: {len(counts)}, with boxes to train on: {boxes}"]


def _coco(settings: Mapping[str, Any]) -> tuple[DetectionSet, DetectionSet]:
    root = data_root(settings)
    if settings["root"] is None:
        root = root / "coco"
    choice = {key: settings[key] for key in ("categories", "fraction", "broken")}
    choice["verify"] = check_verify(settings["verify"])
    decoding = Decoding.from_config(settings)
    train = read_coco(
        root, settings["train_split"], images=settings["images"], decoding=decoding, **choice
    )
    if isinstance(train.images, ImageFiles):  # brightness means the same in both splits
        decoding = train.images.decoding
    test = read_coco(root, settings["test_split"], decoding=decoding, **choice)
    if train.categories != test.categories:
        raise ValueError(
            f"{root}: {settings['train_split']} and {settings['test_split']} list different "
            "categories; one detector cannot serve both"
        )
    return train, test


def _shapes(settings: Mapping[str, Any]) -> tuple[DetectionSet, DetectionSet]:
    kinds = SHAPES[: settings["shapes"]]
    train, test = (
        shapes(settings[key], seed=seed, size_px=settings["image_size"], shapes=kinds)
        for key, seed in (("train_size", 0), ("test_size", 1))
    )
    return train, test


def _hold_out(train: DetectionSet, fraction: float, seed: int) -> tuple[DetectionSet, DetectionSet]:
    """Training and validation pictures; positions ascend in both."""
    held_out = round(fraction * len(train))
    if held_out == len(train):
        raise ValueError(
            f"data.validation_fraction={fraction} leaves none of {len(train)} pictures for training"
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
