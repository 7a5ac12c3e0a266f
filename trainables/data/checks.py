"""Checks that the loaders of tables and texts share; each error names its key under ``data``."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from trainables.checks import check_keys

_WHERE_NOT_WHAT = frozenset({"root"})


def filled(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` with defaults for what it leaves out.

    Raises:
        ValueError: A key that ``defaults`` does not have.
    """
    check_keys(data, set(defaults), "data.")
    return {**defaults, **data}


def same_settings(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two filled ``data`` mappings describe the same examples, wherever they lie."""
    return all(ours[key] == theirs[key] for key in set(ours) - _WHERE_NOT_WHAT)


def share(settings: Mapping[str, Any], key: str) -> float:
    """A share in [0, 1).

    Raises:
        ValueError: It is not.
    """
    value = settings[key]
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ValueError(f"data.{key} must be in [0, 1), got {value!r}")
    return float(value)


def count(settings: Mapping[str, Any], key: str) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: It is not.
    """
    value = settings[key]
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ValueError(f"data.{key} must be a whole number of at least 1, got {value!r}")
    return int(value)


def limit(settings: Mapping[str, Any], key: str) -> int | None:
    """As ``count``, or ``None`` for no limit."""
    return None if settings[key] is None else count(settings, key)
