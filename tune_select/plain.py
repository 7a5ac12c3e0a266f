"""Numbers and texts of NumPy and PyTorch as the plain values that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """A configuration without scalars of NumPy or PyTorch in it.

    ``np.int64(5)``, ``np.float32(0.1)``, ``np.bool_(True)``, ``np.str_("a")``, arrays and tensors
    of no dimension become what their ``item()`` gives; mappings, lists and tuples are looked into,
    and come back as plain ones. Everything else is kept as it is, other arrays among it. Neither
    library is imported for it.
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(inner) for inner in value)
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        return value.item()
    return value


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is an integer, NumPy's and PyTorch's too, of at least ``least``."""
    found = plain(value)
    return isinstance(found, int) and not isinstance(found, bool) and found >= least


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number.

    Args:
        name: The argument, for the error.
        value: Its value; see ``is_whole``.
        least: The least that it may be.

    Raises:
        ValueError: It is none, or less; names the argument, its value and what would be right.
    """
    if not is_whole(value, least):
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
