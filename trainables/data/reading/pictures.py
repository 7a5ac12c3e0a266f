"""The one decoder of picture files: eight bits of red, green and blue, as a viewer shows them.

What files hold beyond that is kept by stated rules instead of being cut off:

- **Sixteen bits and more.** The range of values becomes 0..255: ``value_range`` where it is given,
  otherwise that of the mode, 0..65535 for sixteen bits. Whole numbers of 32 bits and floats have no
  range of their own: the smallest of 0..1 (floats alone), 0..255 and 0..65535 that holds all of the
  values, else their own smallest to largest.
- **Transparency** is composed over ``background``. Grey by default: drawings in black and in white
  both stand out from it.
- **Rotation and mirroring** that a camera noted (EXIF) are applied.
- **Inverted** grey (TIFF's WhiteIsZero) is turned round.
- **Several pictures** in one file (GIF, TIFF, WebP): the first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from trainables.data.reading.progress import tracked

ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".apng", ".bmp", ".gif", ".webp", ".avif"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"}
)
"""Endings of the files that are taken for pictures, in any case."""

Range = tuple[float, float]
Color = tuple[int, int, int]
Verify = Literal["all", "headers"]
Broken = Literal["error", "skip"]

GREY: Color = (128, 128, 128)
_DEEP_MODES = ("I", "F")
_SIXTEEN_BITS: Range = (0.0, 65535.0)
_EXIF_ORIENTATION = 0x0112
_PHOTOMETRIC = 262  # TIFF's tag; 0 where zero is white
_MOST_THREADS, _BLOCK = 16, 4096
_SHOWN = 5


class UnreadablePictureError(OSError):
    """A file that is not a whole picture; the message names it and says why."""


@dataclass(frozen=True)
class PictureFacts:
    """What is known of a picture without keeping its pixels.

    Attributes:
        width: The width as shown, in pixels.
        height: The same.
        orientation: EXIF's, 1 (as stored) to 8; 5 to 8 exchange width and height.
        mode: Pillow's.
        values: Smallest and largest value of a picture of more than eight bits, else ``None``.
    """

    width: int
    height: int
    orientation: int
    mode: str
    values: Range | None = None

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before EXIF's rotation."""
        size = (self.width, self.height)
        return size if self.orientation < 5 else size[::-1]


@dataclass(frozen=True)
class Decoding:
    """How pictures become eight bits of red, green and blue.

    Attributes:
        background: The colour under what is transparent.
        value_range: The values that become 0 and 255 in pictures of sixteen bits and more.
        deep_range: The same for pictures of 32 bits alone, measured on a whole training set: were
            each picture to go by its own values, brightness would mean something else in each.
    """

    background: Color = GREY
    value_range: Range | None = None
    deep_range: Range | None = None

    def open(self, path: str | os.PathLike[str]) -> Image.Image:
        """Decode one file to mode RGB.

        Raises:
            UnreadablePictureError: Not a regular file, or not a whole picture.
        """
        with _opened(path) as picture:
            white_is_zero = getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == 0
            turned = ImageOps.exif_transpose(picture)
            if turned.mode in _DEEP_MODES or turned.mode.startswith("I;16"):
                return self._scaled(turned, white_is_zero)
            if turned.has_transparency_data:
                return self._composed(turned)
            return turned.convert("RGB")

    def _scaled(self, picture: Image.Image, white_is_zero: bool) -> Image.Image:
        values = np.asarray(picture)
        low, high = self._bounds(picture.mode, values)
        # In the values' own type where it is a float already: a copy in float64 takes four times
        # the room of a picture of sixteen bits.
        scaled = (values.astype(np.float32) - low) * (255.0 / (high - low))
        grey = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        if white_is_zero:  # scans and X-rays; Pillow turns eight bits round by itself, no more
            grey = 255 - grey
        shown = Image.fromarray(grey).convert("RGB")
        clear = picture.info.get("transparency")
        if isinstance(clear, int):  # PNG of sixteen bits: this one value is seen through
            shown.paste(self.background, mask=Image.fromarray(values == clear))
        return shown

    def _bounds(self, mode: str, values: NDArray[Any]) -> Range:
        own = _extremes(values)
        if self.value_range is not None:
            return self.value_range
        if self.deep_range is not None and mode in _DEEP_MODES:
            return self.deep_range
        return _natural_range(mode, own)

    def _composed(self, picture: Image.Image) -> Image.Image:
        shown = picture.convert("RGBA")
        below = Image.new("RGBA", shown.size, (*self.background, 255))
        return Image.alpha_composite(below, shown).convert("RGB")


def color_of(value: Any) -> Color:
    """Red, green and blue of a color's name, ``#rrggbb`` or three numbers.

    Raises:
        ValueError: It is none of these.
    """
    try:
        if isinstance(value, str):
            red, green, blue = ImageColor.getrgb(value)[:3]
        else:
            red, green, blue = (int(part) for part in value)
            if not all(0 <= part <= 255 for part in (red, green, blue)):
                raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"must be a color's name (white), #rrggbb or three numbers from 0 to 255, got {value!r}"
        ) from error
    return red, green, blue


def range_of(value: Any) -> Range | None:
    """The values of black and of white, or ``None``.

    Raises:
        ValueError: It is no ascending pair of numbers.
    """
    if value is None:
        return None
    try:
        low, high = (float(part) for part in value)
    except (TypeError, ValueError, OverflowError):
        low = high = 0.0
    if not -np.inf < low < high < np.inf:
        raise ValueError(
            "must be null or [low, high], the values of dark and bright in pictures of more than "
            f"eight bits, got {value!r}"
        )
    return low, high


def examine(path: str | os.PathLike[str], *, pixels: bool) -> PictureFacts:
    """Look at one file.

    Args:
        path: The file.
        pixels: Whether to decode it all, which alone finds out that a file was cut off.

    Raises:
        UnreadablePictureError: Not a regular file, or not a (whole) picture.
    """
    with _opened(path) as picture:
        mode, (width, height) = picture.mode, picture.size
        turned_already = picture.format == "TIFF"  # Pillow's reader exchanges the sides by itself
        orientation = int(picture.getexif().get(_EXIF_ORIENTATION, 1) or 1)
        orientation = orientation if 1 <= orientation <= 8 else 1
        values = None
        if mode in _DEEP_MODES or mode.startswith("I;16"):
            values = _extremes(np.asarray(picture)) if pixels else None
        elif pixels:
            picture.draft(None, (width // 8, height // 8))  # JPEG: all of the data, few pixels
            picture.load()
    if orientation >= 5 and not turned_already:
        width, height = height, width
    return PictureFacts(width, height, orientation, mode, values)


def examine_all(
    paths: Sequence[str | os.PathLike[str]], verify: Verify
) -> list[PictureFacts | UnreadablePictureError]:
    """Look at many files with a thread per processor; decoding leaves Python's lock alone.

    Args:
        paths: The files.
        verify: ``all`` decodes every file, ``headers`` reads their beginnings only.

    Returns:
        What each is, or why it cannot be read, in order.
    """

    def look(path: str | os.PathLike[str]) -> PictureFacts | UnreadablePictureError:
        try:
            return examine(path, pixels=verify == "all")
        except UnreadablePictureError as error:
            return error

    def looked() -> Iterator[PictureFacts | UnreadablePictureError]:
        with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
            for start in range(0, len(paths), _BLOCK):  # not a million tasks at once
                yield from pool.map(look, paths[start : start + _BLOCK])

    return list(tracked(looked(), len(paths), "pictures"))


def common_range(facts: Sequence[PictureFacts]) -> Range | None:
    """One range for all pictures of 32 bits among ``facts``; ``None`` where there are none."""
    deep = {fact.mode for fact in facts if fact.mode in _DEEP_MODES}
    extremes = [fact.values for fact in facts if fact.mode in deep and fact.values is not None]
    if not extremes:
        return None
    values = (min(low for low, _ in extremes), max(high for _, high in extremes))
    return _natural_range("F" if "F" in deep else "I", values)


def refuse_broken(errors: Sequence[str], total: int, broken: Broken) -> None:
    """What ``data.broken`` says of pictures that cannot be read.

    Args:
        errors: One message each, which names the file.
        total: How many were opened.
        broken: Whether they are an ``error``, or left out (``skip``).

    Raises:
        ValueError: There are some and ``broken`` is ``error``.
    """
    if errors and broken == "error":
        more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        raise ValueError(
            f"{len(errors)} of {total} pictures cannot be used: {'; '.join(errors[:_SHOWN])}{more}"
            ". Or set data.broken: skip, which leaves them out"
        )


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """A picture file; whatever Pillow raises on a damaged one becomes one error."""
    try:
        kind = os.stat(path)
        if not stat.S_ISREG(kind.st_mode):  # reading a pipe would wait for ever
            raise OSError("it is not a regular file")
        if kind.st_size == 0:
            raise OSError("the file is empty")
        # Opened here: from a path Pillow maps an uncompressed TIFF into memory, and reads it
        # wrongly where EXIF turns it by a quarter.
        with open(path, "rb") as file, Image.open(file) as picture:
            _refuse_bombs(picture)
            yield picture
    except UnreadablePictureError:
        raise
    # Pillow's readers raise SyntaxError, struct.error, ValueError, EOFError, ... on damaged files.
    except Exception as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "it is not a picture of a known kind"
        raise UnreadablePictureError(
            f"image {path} cannot be read: {reason}; remove or repair it"
        ) from error


def _refuse_bombs(picture: Image.Image) -> None:
    """Pillow only warns of a picture that would fill the memory once decompressed."""
    most, (width, height) = Image.MAX_IMAGE_PIXELS, picture.size
    if most is not None and width * height > most:
        raise OSError(
            f"it has {width} x {height} pixels, more than the {most:,} that are decoded (a small "
            "file may unpack to gigabytes): scale it down"
        )


def _extremes(values: NDArray[Any]) -> Range:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise ValueError("it holds NaN or infinite values")
    return low, high


def _natural_range(mode: str, values: Range) -> Range:
    """The range of a mode, or for those without one the smallest usual one around ``values``."""
    if mode.startswith("I;16"):
        return _SIXTEEN_BITS
    low, high = values
    usual = [(0.0, 255.0), _SIXTEEN_BITS]
    if mode == "F":
        usual.insert(0, (0.0, 1.0))
    for bounds in usual:
        if bounds[0] <= low and high <= bounds[1]:
            return bounds
    return low, high if high > low else low + 1.0
