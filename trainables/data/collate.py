"""Items (image, class) of datasets of the user's as batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainables.data.items import Collate


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
        labels = torch.tensor([_class(label) for _, label in items])
    except (TypeError, ValueError):
        raise ValueError(
            f"classes must be whole numbers, got {items[0][1]!r:.100}; a trainable of your own "
            "with DatasetTask takes other targets"
        ) from None
    return torch.stack(images), labels


@dataclass(frozen=True)
class NumberedCollate:
    """Batches as ``image_collate`` makes them, with classes numbered from 0.

    Attributes:
        path: Where the datasets are from, for messages.
        labels: Those of the training examples, ascending.
    """

    path: str
    labels: tuple[int, ...]

    def __call__(self, items: list[Any]) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and class numbers int64 (B,).

        Raises:
            ValueError: A label that no training example carries.
        """
        images, given = image_collate(items)
        known = torch.tensor(self.labels)
        numbers = torch.searchsorted(known, given).clamp(max=len(known) - 1)
        wrong = given[known[numbers] != given]
        if len(wrong):
            raise ValueError(
                f"data.name {self.path!r}: no training example carries the label {int(wrong[0])}"
            )
        return images, numbers


def numbered_collate(path: str, labels: Tensor) -> Collate:
    """How items become batches whose classes are numbered from 0.

    Args:
        path: Where the datasets are from, for messages.
        labels: int64 (C,), those of the training examples, ascending.
    """
    if labels.tolist() == list(range(len(labels))):
        return image_collate
    return NumberedCollate(path, tuple(labels.tolist()))


def _class(label: Any) -> int:
    number = int(label)
    if not isinstance(label, str) and number != label:
        raise ValueError("a fraction names no class")
    return number


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
