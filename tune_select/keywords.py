"""Settings of whatever is built by name, compared with those that it has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from tune_select.wording import did_you_mean, shown

_ANY: Final = "**"


def keywords_of(build: Callable[..., Any]) -> tuple[str, ...]:
    """Keywords that a class or function takes, with those that it hands on to what it wraps."""
    inner = getattr(build, "__wrapped__", None)
    own = inspect.signature(build, follow_wrapped=False).parameters.values()
    named = [one.name for one in own if one.kind is not one.VAR_KEYWORD]
    if inner is not None:
        return (*named, *keywords_of(inner))
    return (*named, *((_ANY,) if len(named) < len(own) else ()))


def check_keywords(name: str, settings: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse settings that a named part does not have.

    Args:
        name: The name of the part.
        settings: Its settings as the user wrote them.
        known: Those that it has, as from ``keywords_of``.

    Raises:
        ValueError: The first that it does not have, and which was probably meant.
    """
    for key, value in settings.items():
        if key not in known and _ANY not in known:
            meant = did_you_mean(key, known)
            raise ValueError(f"unknown setting {key}={shown(value)} of {name}; {meant}")
