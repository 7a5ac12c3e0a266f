"""Where the pixels of a detection set come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainables.data.reading.pictures import Decoding, UnreadablePictureError


class ImageSource(Protocol):
    """Random access to n RGB pictures; picklable, for workers and for Ray."""

    def __len__(self) -> int:
        """Number n of pictures."""
        ...

    def read(self, position: int) -> Tensor:
        """Picture ``position`` as uint8 (3, H, W)."""
        ...

    def take(self, positions: NDArray[np.int64]) -> ImageSource:
        """The pictures at ``positions``, in that order."""
        ...


@dataclass(frozen=True)
class StoredImages:
    """Pictures of one size in memory, shared between processes as one array.

    Attributes:
        pixels: uint8 (N, 3, S, S), may be read-only; boxes are rescaled when S is not their size.
        positions: int64 (n,), the rows of ``pixels`` that belong to this set, so that the splits
            of a set share one array.
    """

    pixels: NDArray[np.uint8]
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, position: int) -> Tensor:
        """Picture ``position`` as uint8 (3, S, S), a copy."""
        # torch refuses to alias read-only memory without a warning; a copy of one picture is cheap.
        return torch.from_numpy(self.pixels[self.positions[position]].copy())

    def take(self, positions: NDArray[np.int64]) -> StoredImages:
        """The pictures at ``positions`` without a copy of the pixels."""
        return StoredImages(self.pixels, self.positions[positions])


@dataclass(frozen=True)
class ImageFiles:
    """Picture files, decoded when they are read.

    Attributes:
        paths: One file per picture.
        decoding: How they become pixels.
    """

    paths: tuple[str, ...]
    decoding: Decoding = field(default_factory=Decoding)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, position: int) -> Tensor:
        """Decode picture ``position`` to uint8 (3, H, W); grey pictures get three channels.

        Raises:
            ValueError: The file is missing or not a picture; names the file.
        """
        path = self.paths[position]
        try:
            pixels = np.array(self.decoding.open(path))
        except UnreadablePictureError as error:
            raise ValueError(f"cannot read the picture {path}: {error}") from error
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def take(self, positions: NDArray[np.int64]) -> ImageFiles:
        """The files at ``positions``."""
        return replace(self, paths=tuple(self.paths[i] for i in positions))


def resize_image(image: Tensor, size_px: int) -> Tensor:
    """Resize uint8 (3, H, W) to (3, S, S), antialiased bilinear, ignoring the aspect ratio."""
    if tuple(image.shape[-2:]) == (size_px, size_px):
        return image
    resized = functional.interpolate(
        image[None], size=(size_px, size_px), mode="bilinear", antialias=True
    )
    return resized[0]


def store(images: ImageSource, size_px: int) -> StoredImages:
    """Decode every picture once, at ``size_px`` squared, into one array (3 S^2 bytes each)."""
    pixels = np.empty((len(images), 3, size_px, size_px), dtype=np.uint8)
    for position in range(len(images)):
        pixels[position] = resize_image(images.read(position), size_px).numpy()
    return StoredImages(pixels, np.arange(len(images)))


def missing_files(paths: Sequence[Path]) -> list[Path]:
    """Those of ``paths`` that are not files."""
    return [path for path in paths if not path.is_file()]
