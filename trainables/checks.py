"""Checks of configuration values; each error names key, value and what would do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

from tune_select.messages import Problem, SettingsError, unknown_key
from tune_select.wording import shown


def check_keys(config: Mapping[str, Any], known: Collection[str], prefix: str) -> None:
    """Refuse keys that nothing reads.

    Args:
        config: What the user wrote.
        known: Keys that something reads.
        prefix: What stands before a key where the user wrote it (``data.``).

    Raises:
        SettingsError: Names each key and the one that was probably meant.
    """
    problems = [unknown_key(f"{prefix}{key}", config[key], known) for key in config
                if key not in known]  # fmt: skip
    if problems:
        raise SettingsError(problems)


def integer(key: str, value: Any, *, least: int) -> None:
    """Require an integer (of Python or NumPy, no bool) of at least ``least``.

    Args:
        key: The setting's name as the user wrote it.
        value: Its value.
        least: Smallest value that is allowed.

    Raises:
        ValueError: It is none.
    """
    good = isinstance(value, Integral) and not isinstance(value, bool)
    require(good and value >= least, key, value, f"an integer of at least {least}")


def number(
    key: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> None:
    """Require a finite number above or at least one bound, and below or at most another.

    Args:
        key: The setting's name as the user wrote it.
        value: Its value.
        above: The value must be larger than this.
        least: The value must be at least this.
        below: The value must be smaller than this.
        most: The value must be at most this.

    Raises:
        ValueError: It is none.
    """
    left = f"({above}" if above is not None else f"[{least}"
    right = f"{below})" if below is not None else f"{most}]" if most is not None else "inf)"
    good = isinstance(value, Real) and not isinstance(value, bool)
    if good:
        given = float(value)
        good = (
            (above is None or given > above)
            and (least is None or given >= least)
            and (below is None or given < below)
            and (most is None or given <= most)
            and given < float("inf")
        )
    require(good, key, value, f"in {left}, {right}")


def require(good: bool, key: str, value: Any, expected: str) -> None:
    """Require what ``good`` says.

    Args:
        good: Whether the value will do.
        key: The setting's name as the user wrote it.
        value: Its value.
        expected: What would do, in words.

    Raises:
        ValueError: It is not; ``expected`` tells what would do.
    """
    if not good:
        raise SettingsError([Problem(key, f" must be {expected}, got {shown(value)}")])
