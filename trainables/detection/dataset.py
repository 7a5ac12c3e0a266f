"""A set of pictures with boxes, and what was left out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trainables.data.reading.omissions import Omission
from trainables.detection.images import ImageSource, store


@dataclass(frozen=True)
class Category:
    """A class of objects: ``id`` as the annotation file numbers it (COCO's have gaps)."""

    id: int
    name: str


@dataclass(frozen=True)
class Skipped:
    """How many annotations and pictures a reader left out or changed, and why.

    Attributes:
        crowd_boxes: Kept for evaluation, which ignores detections on them, never trained on.
        clipped_boxes: Reached beyond their picture and were clipped to it.
        outside_boxes: Lay outside their picture altogether: left out.
        empty_boxes: Had no area (or a side under ``MIN_SIDE_PX``): left out.
        images_without_boxes: Pictures without a trainable box: left out of training splits only.
        broken_pictures: Missing, not whole, or of a size that does not fit their entry: left out.
        turned_pictures: Turned or mirrored as EXIF says, their boxes with them.
        resized_pictures: The resized pictures of another size than their entry says, at its
            proportions: boxes scaled.
        files_without_entry: Picture files that no entry names: left out.
    """

    crowd_boxes: int = 0
    clipped_boxes: int = 0
    outside_boxes: int = 0
    empty_boxes: int = 0
    images_without_boxes: int = 0
    broken_pictures: int = 0
    turned_pictures: int = 0
    resized_pictures: int = 0
    files_without_entry: int = 0

    def __str__(self) -> str:
        parts = [f"{count} {name.replace('_', ' ')}" for name, count in vars(self).items() if count]
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class DetectionSet:
    """n pictures with M boxes in flat arrays, which Ray shares between processes without a copy.

    Attributes:
        name: The name of the set, for histories and logs.
        images: The n pictures, stored at any size.
        image_ids: int64 (n,), as the annotation file numbers them.
        sizes: int32 (n, 2), height and width in pixels that the boxes refer to.
        boxes: float32 (M, 4), x1, y1, x2, y2 in pixels of the original picture, inside it.
        labels: int64 (M,), 1 .. number of categories (0 is background).
        areas: float32 (M,), object areas in square pixels: the bounds of small, medium and large.
        crowd: bool (M,), groups of objects, which evaluation ignores and training leaves out.
        offsets: int64 (n + 1,), the boxes of picture i are rows ``offsets[i]:offsets[i + 1]``.
        categories: The categories in the order of the labels.
        skipped: What the reader left out or changed, counted.
        left_out: The same by name, as far as names say more.
    """

    name: str
    images: ImageSource
    image_ids: NDArray[np.int64]
    sizes: NDArray[np.int32]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    areas: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    categories: tuple[Category, ...]
    skipped: Skipped = field(default_factory=Skipped)
    left_out: tuple[Omission, ...] = ()

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def class_count(self) -> int:
        """Number of classes with the background, C + 1."""
        return len(self.categories) + 1

    def trainable_boxes(self, position: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Boxes (m, 4) in original pixels and labels (m,) of one picture, crowds left out."""
        rows = slice(self.offsets[position], self.offsets[position + 1])
        single = ~self.crowd[rows]
        return self.boxes[rows][single], self.labels[rows][single]

    def trainable_box_counts(self) -> NDArray[np.int64]:
        """Number of trainable boxes of every picture, (n,)."""
        cumulative = np.concatenate(([0], np.cumsum(~self.crowd)))
        counts: NDArray[np.int64] = np.diff(cumulative[self.offsets])
        return counts

    def take(self, positions: NDArray[np.int64]) -> DetectionSet:
        """The pictures at ``positions``, in that order, with their boxes."""
        starts, ends = self.offsets[:-1][positions], self.offsets[1:][positions]
        rows = np.concatenate(
            [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
            or [np.empty(0, np.int64)]
        ).astype(np.int64)
        return replace(
            self,
            images=self.images.take(positions),
            image_ids=self.image_ids[positions],
            sizes=self.sizes[positions],
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            areas=self.areas[rows],
            crowd=self.crowd[rows],
            offsets=np.concatenate(([0], np.cumsum(ends - starts))).astype(np.int64),
        )

    def with_boxes(self) -> DetectionSet:
        """Only the pictures with a trainable box; ``skipped`` counts the others.

        Raises:
            ValueError: No picture has one.
        """
        trainable = self.trainable_box_counts() > 0
        if not trainable.any():
            raise ValueError(
                f"{self.name}: none of its {len(self)} pictures has a box to train on "
                f"(left out: {self.skipped}); choose other images or categories"
            )
        kept = self.take(np.flatnonzero(trainable))
        missing = self.skipped.images_without_boxes + int((~trainable).sum())
        return replace(kept, skipped=replace(self.skipped, images_without_boxes=missing))

    def stored(self, size_px: int) -> DetectionSet:
        """The same set with every picture decoded once and held at ``size_px`` squared."""
        return replace(self, images=store(self.images, size_px))

    def fingerprint(self) -> str:
        """SHA-256 over names, ids, sizes, boxes and classes (not over pixels: sets may be lazy)."""
        digest = hashlib.sha256()
        for array in (self.image_ids, self.sizes, self.boxes, self.labels, self.offsets):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr([(c.id, c.name) for c in self.categories]).encode())
        return digest.hexdigest()


def from_lists(
    name: str,
    images: ImageSource,
    sizes: NDArray[np.int32],
    boxes: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.int64]],
    categories: tuple[Category, ...],
    *,
    image_ids: NDArray[np.int64] | None = None,
    areas: Sequence[NDArray[np.float32]] | None = None,
) -> DetectionSet:
    """A set from one array of boxes (m_i, 4) and of labels (m_i,) per picture.

    Args:
        name: The name of the set.
        images: Its pictures, in the order of the other arguments.
        sizes: int32 (n, 2), original heights and widths in pixels.
        boxes: The boxes of each picture, float32 (m_i, 4): left, top, right, bottom, in pixels.
        labels: The labels of each picture, int64 (m_i,), positions in ``categories``.
        categories: The categories in the order of the labels.
        image_ids: int64 (n,) ids for the evaluation; positions by default.
        areas: The areas of each picture, float (m_i,), objects' areas in square pixels; those of
            the boxes by default.

    Raises:
        ValueError: The lists differ in length.
    """
    if not len(images) == len(sizes) == len(boxes) == len(labels):
        raise ValueError(
            f"{name}: {len(images)} images, {len(sizes)} sizes, {len(boxes)} box arrays and "
            f"{len(labels)} label arrays; give one of each per image"
        )
    flat = np.concatenate([np.empty((0, 4), np.float32), *boxes]).astype(np.float32)
    if areas is None:
        areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in boxes]
    return DetectionSet(
        name=name,
        images=images,
        image_ids=np.arange(1, len(images) + 1) if image_ids is None else image_ids,
        sizes=sizes,
        boxes=flat,
        labels=np.concatenate([np.empty(0, np.int64), *labels]).astype(np.int64),
        areas=np.concatenate([np.empty(0, np.float32), *areas]).astype(np.float32),
        crowd=np.zeros(len(flat), dtype=bool),
        offsets=np.concatenate(([0], np.cumsum([len(b) for b in boxes]))).astype(np.int64),
        categories=categories,
    )
