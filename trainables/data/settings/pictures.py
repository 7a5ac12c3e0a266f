"""The keys that say how picture files are read; image folders and detection share them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from trainables.data.reading.pictures import (
    GREY,
    Broken,
    Color,
    Decoding,
    Range,
    Verify,
    color_of,
    range_of,
)
from trainables.data.settings.base import DataSection


class PictureSettings(DataSection):
    """How picture files become pixels, and what becomes of those that cannot.

    Attributes:
        broken: Whether pictures that cannot be read are an ``error`` or left out (``skip``).
        verify: How far each is read to find out: ``all`` or ``headers``.
        background: Color under what is transparent: a name, ``#rrggbb`` or three numbers.
        value_range: The values of black and white in pictures of more than eight bits.
    """

    broken: Broken = "error"
    verify: Verify = "all"
    background: Annotated[Color, BeforeValidator(color_of)] = GREY
    value_range: Annotated[Range | None, BeforeValidator(range_of)] = Field(default=None)

    @property
    def decoding(self) -> Decoding:
        """The decoder that these settings describe."""
        return Decoding(self.background, self.value_range)


def listed(value: Any) -> Any:
    """A list as the tuple that an immutable model holds."""
    return tuple(value) if isinstance(value, list) else value
