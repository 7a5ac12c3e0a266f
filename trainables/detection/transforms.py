"""From a stored picture to the model's input: resizing, and SSD's augmentations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from trainables.detection.dataset import DetectionSet
from trainables.detection.images import resize_image
from tune_select.wording import not_among

Augmentation = Literal["ssd", "crop", "flip", "none"]
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)
"""``ssd``: zoom-out, IoU crop, flip, photometric; ``crop``: IoU crop and flip."""


@dataclass(frozen=True)
class Example:
    """One picture as the model takes it.

    Attributes:
        image: uint8 (3, S, S).
        boxes: float32 (m, 4), x1, y1, x2, y2 in pixels of ``image``.
        labels: int64 (m,), 1 .. C.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give torchvision's transforms, which draw from PyTorch's global CPU generator, their seed.

    The generator's state is put back afterwards. Cheaper than ``torch.random.fork_rng``, and it
    leaves the CUDA generators alone. Not for several threads of one process at once.
    """
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


class Preparation:
    """Turns picture i of a set into an ``Example``, augmented when a seed is given.

    Liu et al. 2016, section 2.2 and 3.6 (zoom-out), through ``torchvision.transforms.v2``. One
    deviation, for speed: the photometric distortion comes last, on the resized picture, so its
    contrast is relative to the crop's mean, not the picture's.
    """

    def __init__(
        self,
        size_px: int,
        augmentation: str = "ssd",
        fill: tuple[float, float, float] = (123.0, 117.0, 104.0),
    ) -> None:
        """Prepare pictures for one model.

        Args:
            size_px: Side S of the model's input.
            augmentation: One of ``AUGMENTATIONS``.
            fill: Colour around a zoomed-out picture, 0..255.

        Raises:
            ValueError: ``augmentation`` is unknown.
        """
        if augmentation not in AUGMENTATIONS:
            raise ValueError(not_among("data.augmentation", augmentation, AUGMENTATIONS))
        self.size_px = size_px
        self.augmentation = augmentation
        self._zoom_out = v2.RandomZoomOut(fill=list(fill)) if augmentation == "ssd" else None
        self._crop = v2.RandomIoUCrop() if augmentation in ("ssd", "crop") else None
        self._flip = v2.RandomHorizontalFlip() if augmentation != "none" else None
        self._photometric = v2.RandomPhotometricDistort() if augmentation == "ssd" else None
        self._sanitize = v2.SanitizeBoundingBoxes()

    def __call__(self, dataset: DetectionSet, position: int, seed: int | None = None) -> Example:
        """Picture ``position`` of ``dataset``; augmented if and only if there is a ``seed``."""
        image = dataset.images.read(position)
        boxes, labels = dataset.trainable_boxes(position)
        stored = np.array([image.shape[2], image.shape[1]] * 2, np.float32)
        original = dataset.sizes[position][[1, 0, 1, 0]].astype(np.float32)
        boxes = boxes * (stored / original)
        if seed is not None and self.augmentation != "none":
            with seeded(seed):
                return self._augmented(image, boxes, torch.from_numpy(labels))
        return self._resized(image, torch.from_numpy(boxes), torch.from_numpy(labels))

    def _resized(self, image: Tensor, boxes: Tensor, labels: Tensor) -> Example:
        scale = torch.tensor([self.size_px / image.shape[2], self.size_px / image.shape[1]] * 2)
        return Example(resize_image(image, self.size_px), boxes * scale, labels)

    def _augmented(self, image: Tensor, boxes: NDArray[np.float32], labels: Tensor) -> Example:
        sample: dict[str, Any] = {
            "image": tv_tensors.Image(image),
            "boxes": tv_tensors.BoundingBoxes(
                torch.from_numpy(boxes), format="XYXY", canvas_size=tuple(image.shape[-2:])
            ),
            "labels": labels,
        }
        if self._zoom_out is not None:
            sample = self._zoom_out(sample)
        # The crop draws until a box's centre lies inside, so it needs a box.
        if self._crop is not None and len(boxes):
            sample = self._sanitize(self._crop(sample))
        if self._flip is not None:
            sample = self._flip(sample)
        result = self._resized(
            sample["image"].as_subclass(Tensor),
            sample["boxes"].as_subclass(Tensor),
            sample["labels"],
        )
        if self._photometric is None:
            return result
        distorted = self._photometric(tv_tensors.Image(result.image)).as_subclass(Tensor)
        return Example(distorted, result.boxes, result.labels)
