"""Dotted keys, as a sweep writes those that lie inside another key, and nested mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


def merged(
    base: Mapping[str, Any],
    override: Mapping[str, Any],
    *,
    whole: Callable[[Any], bool] = lambda value: False,
) -> dict[str, Any]:
    """``base`` with ``override`` laid over it, nested mappings key by key; neither is changed.

    Args:
        base: What is laid under.
        override: What is laid over it.
        whole: Whether a mapping of ``override`` is one value, which replaces what it lies on.
    """
    result = dict(base)
    for key, value in override.items():
        inner = result.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping) and not whole(value):
            value = merged(inner, value, whole=whole)
        result[key] = value
    return result


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping as pairs of a dotted key and a value."""
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
