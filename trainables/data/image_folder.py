"""Trees of image files (ImageNet's layout), read lazily."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trainables.data.corruption import corrupt
from trainables.data.identity import DatasetIdentity
from trainables.data.reading.image_tree import FolderPart, scan_tree
from trainables.data.reading.omissions import Omission, omission
from trainables.data.reading.pictures import (
    Decoding,
    PictureFacts,
    UnreadablePictureError,
    common_range,
    examine_all,
    refuse_broken,
)
from trainables.data.settings.images import ImageSettings
from trainables.data.splits import VALIDATION_FRACTION, stratified_split
from trainables.data.transforms import PictureTransform

__all__ = ["FolderImages", "FolderPart", "FolderReader", "load_folder"]

_logger = logging.getLogger(__name__)
_STATISTICS_SAMPLE = 2000
"""Images read for the channel statistics; all of them would cost an epoch of reading."""


@dataclass(frozen=True)
class FolderImages:
    """A tree of images; fields as those of ``ImageArrays``.

    Attributes:
        left_out: What of the tree is no example.
        channels: The channels of the pictures.
        split: How the splits were made where the folders do not say, for people.
    """

    identity: DatasetIdentity
    settings: ImageSettings
    train: FolderPart
    validation: FolderPart
    test: FolderPart
    classes: int
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    image_size: int
    class_names: tuple[str, ...] = ()
    left_out: tuple[Omission, ...] = ()
    channels: int = 3
    split: str = ""


def load_folder(settings: ImageSettings, root: Path) -> FolderImages:
    """Scan ``root/train/<class>/*``, ``root/val/<class>/*`` and ``root/test/<class>/*``.

    With all three, ``val`` is the validation split. With one of ``val`` and ``test`` (ImageNet),
    that one is the test split and a stratified share of ``train`` becomes the validation split.
    With neither, or with ``root/<class>/*`` alone, stratified shares of ``test_fraction`` and then
    ``validation_fraction`` are split off by ``split_seed``; ``split`` says so.
    Folders of any depth below a class belong to it. Hidden files and folders (``listing``) are
    neither pictures nor classes, and neither is a folder of ``train`` without a picture.

    Every picture of every split is opened before anything is trained: with ``broken: error`` those
    that cannot be read are refused together, with ``broken: skip`` they are left out and counted.

    Args:
        settings: What stands under ``data``; ``image_size`` ``None`` means 224 pixels.
        root: The folder.

    Raises:
        FileNotFoundError: A folder is missing or holds no images.
        ValueError: Fewer than two classes, pictures that cannot be read, or pictures held out for
            a class that has none to train on.
    """
    image_size = settings.image_size or 224
    scan = scan_tree(root)
    parts, decoding, broken = _readable(scan.parts, settings)
    parts = {name: replace(part, decoding=decoding) for name, part in parts.items()}
    train, validation, test, split = _splits(parts, settings)
    limit = settings.train_limit
    if limit is not None and limit < len(train):
        _, chosen = stratified_split(train.labels, limit / len(train), settings.split_seed)
        train = train.take(chosen)
    clean = _fingerprint(train, scan.classes, image_size)
    corruption = settings.corruption
    if corruption.changes_anything:
        positions, labels = corrupt(torch.tensor(train.labels), corruption, len(scan.classes))
        train = replace(train, files=train.files[positions.numpy()], labels=labels.numpy())
    mean, std = _statistics(train, image_size, settings.split_seed)
    left_out = scan.left_out + broken
    for entry in left_out:
        _logger.info("%s: left out %s", root, entry)
    return FolderImages(
        identity=DatasetIdentity(settings.name, len(train), corruption.fingerprint(clean)),
        settings=settings,
        train=train,
        validation=validation,
        test=test,
        classes=len(scan.classes),
        mean=mean,
        std=std,
        image_size=image_size,
        class_names=scan.classes,
        left_out=left_out,
        split=split,
    )


class FolderReader(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Decodes one image per (position, draw): uint8 (3, S, S) and its class.

    A draw of -1 resizes the shorter side to 8/7 S and crops the centre. Any other draw seeds a
    random resized crop and, with ``flip``, a mirroring (Szegedy et al. 2015), so that an example's
    augmentation does not depend on which worker reads it. A ``transform`` takes the place of both.
    """

    def __init__(
        self,
        part: FolderPart,
        image_size: int,
        *,
        flip: bool = True,
        transform: PictureTransform | None = None,
    ) -> None:
        self._part = part
        self._transform = transform
        self._size = image_size
        self._flip = flip

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, int]:
        position, draw = item
        image = self._part.decoding.open(Path(self._part.root) / str(self._part.files[position]))
        if self._transform is not None and draw >= 0:
            return self._transform.of_picture(image, draw), int(self._part.labels[position])
        image = self._centre(image) if draw < 0 else self._random_crop(image, draw)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return pixels, int(self._part.labels[position])

    def _centre(self, image: Image.Image) -> Image.Image:
        scale = self._size * 8 / 7 / min(image.size)
        width, height = (max(self._size, round(side * scale)) for side in image.size)
        left, top = (width - self._size) // 2, (height - self._size) // 2
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        return resized.crop((left, top, left + self._size, top + self._size))

    def _random_crop(self, image: Image.Image, draw: int) -> Image.Image:
        generator = np.random.default_rng(draw)
        width, height = image.size
        box = (0, 0, width, height)
        for _ in range(10):
            area = width * height * generator.uniform(0.08, 1.0)
            aspect = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
            wide, high = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
            if 0 < wide <= width and 0 < high <= height:
                left = int(generator.integers(width - wide + 1))
                top = int(generator.integers(height - high + 1))
                box = (left, top, left + wide, top + high)
                break
        size = (self._size, self._size)
        cropped = image.resize(size, Image.Resampling.BILINEAR, box=box)
        if generator.random() < 0.5 and self._flip:
            return cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return cropped


def _splits(
    parts: Mapping[str, FolderPart], settings: ImageSettings
) -> tuple[FolderPart, FolderPart, FolderPart, str]:
    """Training, validation and test split of the folders that are there, and how they were made."""
    train, test = parts["train"], parts.get("test", parts.get("val"))
    if test is not None and "val" in parts and "test" in parts:
        return train, parts["val"], test, ""
    seed, shares = settings.split_seed, settings.validation_fraction
    said = ""
    if test is None:
        kept, out = stratified_split(
            train.labels, settings.test_fraction, seed, field="data.test_fraction"
        )
        train, test = train.take(kept), train.take(out)
        said = (
            f"test {settings.test_fraction:g} of all, then validation {shares:g} of the rest, "
            f"by seed {seed}, stratified"
        )
    kept, out = stratified_split(train.labels, shares, seed, field=VALIDATION_FRACTION)
    return train.take(kept), train.take(out), test, said


def _readable(
    parts: Mapping[str, FolderPart], settings: ImageSettings
) -> tuple[dict[str, FolderPart], Decoding, tuple[Omission, ...]]:
    """The pictures that can be read, how to decode them, and the others where these may go.

    Raises:
        ValueError: Some cannot be read and ``data.broken`` is ``error``, or a split or a class has
            none that can.
    """
    names = [(name, i) for name, part in parts.items() for i in range(len(part))]
    paths = [Path(parts[name].root) / str(parts[name].files[i]) for name, i in names]
    found = examine_all(paths, settings.verify)
    errors = [str(entry) for entry in found if isinstance(entry, UnreadablePictureError)]
    refuse_broken(errors, len(paths), settings.broken)
    good: dict[str, list[int]] = {name: [] for name in parts}
    for (name, i), entry in zip(names, found, strict=True):
        if isinstance(entry, PictureFacts):
            good[name].append(i)
    kept = {name: part.take(np.array(good[name], np.int64)) for name, part in parts.items()}
    for name, part in kept.items():
        lost = set(parts[name].labels.tolist()) - set(part.labels.tolist())
        if (name == "train" and lost) or not len(part):
            raise ValueError(
                f"data.broken: skip leaves no picture of {len(lost)} class(es) of {name} under "
                f"{part.root}: {errors[0]}"
            )
    decoding = settings.decoding
    if decoding.value_range is None:
        train = [e for (n, _), e in zip(names, found, strict=True) if n == "train"]
        facts = [entry for entry in train if isinstance(entry, PictureFacts)]
        decoding = replace(decoding, deep_range=common_range(facts))
    return kept, decoding, omission("pictures that cannot be read", errors)


def _fingerprint(part: FolderPart, classes: tuple[str, ...], image_size: int) -> str:
    """Of names, sizes and classes: reading every byte of ImageNet would take minutes."""
    digest = hashlib.sha256(json.dumps([list(classes), image_size]).encode())
    if part.decoding != Decoding():  # histories from before there was a choice keep their identity
        digest.update(repr(part.decoding).encode())
    for file, label in zip(part.files, part.labels, strict=True):
        size = (Path(part.root) / str(file)).stat().st_size
        digest.update(f"{file}\0{size}\0{label}\n".encode())
    return digest.hexdigest()


def _statistics(
    part: FolderPart, image_size: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Channel means and deviations over a seeded sample of the training split."""
    generator = np.random.default_rng(seed)
    sample = generator.permutation(len(part))[:_STATISTICS_SAMPLE]
    reader = FolderReader(part, image_size)
    total, squares = np.zeros(3), np.zeros(3)
    for position in sample:
        pixels = reader[int(position), -1][0].double().flatten(1)
        total += pixels.mean(1).numpy()
        squares += pixels.square().mean(1).numpy()
    mean = total / len(sample)
    deviation = np.sqrt(np.maximum(squares / len(sample) - mean**2, 0))
    deviation[deviation == 0] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)
