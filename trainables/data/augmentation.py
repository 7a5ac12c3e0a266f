"""Augmentation of whole batches on their device, each example with its own draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainables.data.settings.images import Augment, AugmentSettings

_MIRRORED = frozenset({"cifar10", "cifar100", "fashion_mnist"})
_SHIFTED = _MIRRORED | {"svhn"}


@dataclass(frozen=True)
class PadCropFlip:
    """Pad with zeros, crop at a random place, mirror half of the examples, cut a square out.

    Attributes:
        pad: Pixels on each side; 0 leaves the place alone.
        flip: Whether to mirror left and right with probability one half.
        cutout: Side of a square of zeros around a random pixel of each example (DeVries and Taylor
            2017); at the border only part of it lies inside. Theirs is of the mean colour, ours is
            black like the padding. 16 for CIFAR-10, 8 for CIFAR-100, 20 for SVHN; 0 for none.
    """

    pad: int = 4
    flip: bool = True
    cutout: int = 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augmented copies of images (B, C, H, W); draws from ``generator`` on their device."""
        moved = self._moved(images, generator)
        return self._cut(moved, generator) if self.cutout else moved

    def _moved(self, images: Tensor, generator: torch.Generator) -> Tensor:
        size, channels, height, width = images.shape
        device = images.device
        rows = torch.arange(height, device=device).expand(size, height)
        columns = torch.arange(width, device=device).expand(size, width)
        if self.flip:
            mirrored = torch.rand(size, 1, generator=generator, device=device) < 0.5
            columns = torch.where(mirrored, width - 1 - columns, columns)
        if self.pad:
            span = 2 * self.pad + 1
            shifts = torch.randint(span, (2, size, 1), generator=generator, device=device)
            images = functional.pad(images, (self.pad,) * 4)
            rows, columns = rows + shifts[0], columns + shifts[1]
        elif not self.flip:
            return images
        # One gather over flattened pixels, with the same places in every channel: a quarter of
        # the time of indexing rows and columns at once.
        places = rows[:, :, None] * images.shape[3] + columns[:, None, :]
        places = places.reshape(size, 1, -1).expand(-1, channels, -1)
        return images.flatten(2).gather(2, places).view(size, channels, height, width)

    def _cut(self, images: Tensor, generator: torch.Generator) -> Tensor:
        size, _, height, width = images.shape

        def inside(length: int) -> Tensor:
            """Which places along one side the square covers, (B, length)."""
            centre = torch.randint(length, (size, 1), generator=generator, device=images.device)
            first = centre - self.cutout // 2
            places = torch.arange(length, device=images.device)
            return (places >= first) & (places < first + self.cutout)

        covered = inside(height)[:, :, None] & inside(width)[:, None, :]
        return images.masked_fill(covered[:, None], 0)


def augmentation_for(augment: Augment, name: str, image_size: int) -> PadCropFlip | None:
    """The augmentation that ``data.augment`` asks for.

    ``auto`` pads an eighth of the width (4 at 32 pixels) for natural images and mirrors those that
    mean the same mirrored; digits and unknown arrays are left alone.

    Args:
        augment: The setting.
        name: The name of the data set, which has a default of its own.
        image_size: Height and width in pixels.
    """
    customary = PadCropFlip(max(1, image_size // 8), name in _MIRRORED)
    if augment == "auto":
        return customary if name in _SHIFTED else None
    if augment is True:
        return customary
    if not augment:
        return None
    pad = customary.pad if augment.pad is None else augment.pad
    return PadCropFlip(pad, bool(augment.flip), augment.cutout)


def folder_augmentation(augment: Augment) -> tuple[bool, bool]:
    """Whether pictures of a folder are cropped at random, and whether they are mirrored.

    ``auto`` and true do both, false neither, ``{flip: bool}`` crops and mirrors as it says.
    ``{flip: false, pad: 0}`` asks for nothing and gets it.
    """
    if isinstance(augment, AugmentSettings):
        flip = augment.flip is not False
        return flip or augment.pad is None, flip
    return bool(augment), bool(augment)
