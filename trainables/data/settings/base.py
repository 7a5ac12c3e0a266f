"""What stands under ``data``: the keys that every loader knows, and the kinds of their values."""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tune_select.messages import checked
from tune_select.plain import plain
from tune_select.storage import local_path

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]


def _as_text(value: Any) -> Any:
    """A number as the name that it is: the columns of some tables are numbered."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_names(value: Any) -> Any:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    return tuple(map(_as_text, value)) if isinstance(value, list | tuple) else value


def _known_encoding(value: str | None) -> str | None:
    if value is not None:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(
                f"must be an encoding's name (utf-8, latin-1, cp1252, ...), got {value!r}"
            ) from None
    return value


Text = Annotated[str, BeforeValidator(_as_text)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
"""A list of names; one name, or nothing, may stand without its list."""

Encoding = Annotated[str | None, AfterValidator(_known_encoding)]
Root = Annotated[
    str | None,
    BeforeValidator(lambda value: str(value) if isinstance(value, os.PathLike) else value),
]


class DataSection(BaseModel):
    """Knows its keys and refuses others; immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def as_written(value: Any) -> Any:
    """A checked value as the user wrote it, for messages."""
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


class DataSettings(DataSection):
    """The ``data`` of a trial, checked and with its defaults filled in.

    Attributes:
        feeding: Keys that change how examples are fed, and not which they are.
        name: The name of the data set.
        root: The file or folder that holds it; ``$TUNE_SELECT_DATA`` by default.
    """

    feeding: ClassVar[frozenset[str]] = frozenset()

    name: str
    root: Root = None

    @classmethod
    def of(cls, data: Mapping[str, Any] | Self) -> Self:
        """Check what stands under ``data``.

        Raises:
            SettingsError: Each wrong field, its value and what would be right.
        """
        return data if isinstance(data, cls) else checked(cls, plain(data), "data.")

    def same_examples(self, other: DataSettings) -> bool:
        """Whether two settings of a kind describe the same examples, however they are fed."""
        return self._examples() == other._examples()

    def place(self) -> Path:
        """Where the files are.

        Raises:
            ValueError: Neither ``data.root`` nor ``$TUNE_SELECT_DATA`` names a place.
        """
        root = self.root or os.environ.get("TUNE_SELECT_DATA")
        if not root:
            raise ValueError(
                f"data.root is not set for {self.name!r}: name the folder that holds it (or set "
                "TUNE_SELECT_DATA)"
            )
        return Path(local_path(root))

    def _examples(self) -> dict[str, Any]:
        return self.model_dump(exclude=set(self.feeding))
