"""Dotted keys, as a sweep writes those that lie inside another key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value that a dotted key leads to.

    Raises:
        KeyError: A part of the key is missing; the message is the key.
    """
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            raise KeyError(key)
        node = node[part]
    return node


def has_key(config: Mapping[str, Any], key: str) -> bool:
    """Whether a dotted key leads to a value."""
    try:
        value_at(config, key)
    except KeyError:
        return False
    return True


def nested_at(key: str, value: Any) -> dict[str, Any]:
    """The nested mapping in which a dotted key leads to ``value``, and nothing else does."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)
