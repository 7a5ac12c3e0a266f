"""Trees of image files (ImageNet's layout), read lazily."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trainables.data.corruption import Corruption, corrupt
from trainables.data.identity import DatasetIdentity
from trainables.data.splits import stratified_split

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})
_STATISTICS_SAMPLE = 2000
"""Images read for the channel statistics; all of them would cost an epoch of reading."""


@dataclass(frozen=True)
class FolderPart:
    """One split: files and classes.

    Attributes:
        root: Folder that the files are relative to.
        files: (n,) relative paths, as a NumPy array of strings that trials share.
        labels: int64 (n,).
    """

    root: str
    files: NDArray[np.str_]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: NDArray[np.int64]) -> FolderPart:
        """The examples at ``positions``."""
        return FolderPart(self.root, self.files[positions], self.labels[positions])


@dataclass(frozen=True)
class FolderImages:
    """A tree of images; fields as those of ``ImageArrays``."""

    identity: DatasetIdentity
    settings: Mapping[str, Any]
    train: FolderPart
    validation: FolderPart
    test: FolderPart
    classes: int
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    image_size: int
    channels: int = 3


def load_folder(settings: Mapping[str, Any], root: Path) -> FolderImages:
    """Scan ``root/train/<class>/*``, ``root/val/<class>/*`` and ``root/test/<class>/*``.

    With all three, ``val`` is the validation split. With one of ``val`` and ``test`` (ImageNet),
    that one is the test split and a stratified share of ``train`` becomes the validation split.

    Args:
        settings: Checked ``data`` settings; ``image_size`` ``None`` means 224 pixels.
        root: The folder.

    Raises:
        FileNotFoundError: A folder is missing or holds no images.
        ValueError: Fewer than two classes.
    """
    image_size = settings["image_size"] or 224
    classes = _class_names(root / "train")
    train = _scan(root, "train", classes)
    held = {name: _scan(root, name, classes) for name in ("val", "test") if (root / name).is_dir()}
    if not held:
        raise FileNotFoundError(
            f"data.root={root} has neither a val nor a test folder beside train"
        )
    test = held.get("test", held.get("val"))
    assert test is not None
    if len(held) == 2:
        validation = held["val"]
    else:
        kept, out = stratified_split(
            train.labels, settings["validation_fraction"], settings["split_seed"]
        )
        validation, train = train.take(out), train.take(kept)
    limit = settings["train_limit"]
    if limit is not None and limit < len(train):
        _, chosen = stratified_split(train.labels, limit / len(train), settings["split_seed"])
        train = train.take(chosen)
    clean = _fingerprint(train, classes, image_size)
    corruption = Corruption.from_config(settings)
    if corruption.changes_anything:
        positions, labels = corrupt(torch.tensor(train.labels), corruption, len(classes))
        train = FolderPart(train.root, train.files[positions.numpy()], labels.numpy())
    mean, std = _statistics(train, image_size, settings["split_seed"])
    identity = DatasetIdentity(settings["name"], len(train), corruption.fingerprint(clean))
    return FolderImages(
        identity, dict(settings), train, validation, test, len(classes), mean, std, image_size
    )


class FolderReader(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Decodes one image per (position, draw): uint8 (3, S, S) and its class.

    A draw of -1 resizes the shorter side to 8/7 S and crops the centre. Any other draw seeds a
    random resized crop and a mirroring (Szegedy et al. 2015), so that an example's augmentation
    does not depend on which worker reads it.
    """

    def __init__(self, part: FolderPart, image_size: int) -> None:
        self._part = part
        self._size = image_size

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, int]:
        position, draw = item
        path = Path(self._part.root) / str(self._part.files[position])
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except OSError as error:
            raise OSError(f"image {path} cannot be read: {error}; remove or repair it") from error
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
        if generator.random() < 0.5:
            return cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return cropped


def _class_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist: data.name image_folder needs <data.root>/train/<class>/*"
        )
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(names) < 2:
        raise ValueError(f"{folder} has {len(names)} class folders; a classifier needs at least 2")
    return names


def _scan(root: Path, split: str, classes: list[str]) -> FolderPart:
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = root / split / name
        found = sorted(
            str(path.relative_to(root))
            for path in (folder.rglob("*") if folder.is_dir() else ())
            if path.suffix.lower() in _ENDINGS
        )
        if split == "train" and not found:
            raise FileNotFoundError(f"class folder {folder} holds no images")
        files += found
        labels += [label] * len(found)
    if not files:
        raise FileNotFoundError(
            f"{root / split} holds no images of the classes of {root / 'train'}"
        )
    return FolderPart(str(root), np.array(files), np.array(labels, np.int64))


def _fingerprint(part: FolderPart, classes: list[str], image_size: int) -> str:
    """Of names, sizes and classes: reading every byte of ImageNet would take minutes."""
    digest = hashlib.sha256(json.dumps([classes, image_size]).encode())
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
