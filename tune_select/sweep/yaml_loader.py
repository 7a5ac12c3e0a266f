"""YAML as sweeps mean it: read in bounded time, and never another value than the one written."""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 100_000
"""Aliases make a few lines stand for billions of values; each counts as often as it appears."""

_LARGEST = 2**63  # what PyArrow, pandas and MLflow take of an integer


class YamlError(ValueError):
    """A text that is no YAML, or whose values cannot be trusted; the message says where and why."""


def read_yaml(text: str) -> Any:
    """The plain value that a YAML document holds: mappings, lists, texts, numbers and null.

    Differs from PyYAML, which follows YAML 1.1, where that reads another value than was written:
    ``1e-3`` is a number; dates are texts; ``030`` (24 there) and ``1:30`` (90) are refused, and so
    is a key that stands twice, of which PyYAML keeps the last.

    Args:
        text: One document.

    Raises:
        YamlError: As the class says.
    """
    if len(text) > MAX_CHARACTERS:
        raise YamlError(f"it has {len(text)} characters; a sweep has at most {MAX_CHARACTERS}")
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split())) from None
    except Exception as error:  # PyYAML's constructors raise whatever an odd value makes them raise
        raise YamlError(f"a value cannot be read: {type(error).__name__}: {error!s:.200}") from None
    _Measure().of(value)
    return value


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the differences that ``read_yaml`` tells of."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, at most ``MAX_DEPTH`` below the document."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Compose a mapping whose keys differ. Later, merged keys would look like repeated ones."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"the key in line {line} is a list or a mapping")
            if key.tag == "tag:yaml.org,2002:bool":
                raise yaml.YAMLError(
                    f"the key {key.value} in line {line} means true or false in YAML: quote it"
                )
            name = (key.tag, key.value)
            if name in lines:
                raise yaml.YAMLError(
                    f"the key {key.value!r} stands twice, in line {lines[name]} and in line "
                    f"{line}: remove one of them"
                )
            lines[name] = line
        return node


def _trap(loader: _Loader, node: Any) -> Any:
    """Refuse a number that other readers of YAML take for another one."""
    written = str(node.value)
    read = yaml.safe_load(written)
    if ":" in written:
        remedy = f"quote it for a text, or write {read}"
    elif read == int(written.replace("_", "")):
        return read  # 07 is seven to everybody
    else:
        remedy = f"write {int(written.replace('_', ''))}, or {read} if that is meant"
    line = node.start_mark.line + 1
    raise yaml.YAMLError(f"{written} in line {line} is {read} in YAML 1.1: {remedy}")


# Resolvers are tried in the order of their making, so PyYAML's own are taken out of the way first.
_Loader.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_OCTAL = re.compile(r"^[-+]?0[0-7_]*[0-7][0-7_]*$")
_SIXTIES = re.compile(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$")
for _letter in "-+0123456789":
    _Loader.yaml_implicit_resolvers[_letter] = [
        ("!trap", _OCTAL),
        ("!trap", _SIXTIES),
        *_Loader.yaml_implicit_resolvers.get(_letter, []),
    ]
_Loader.add_constructor("!trap", _trap)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


class _Measure:
    """Counts values and depth, refusing what is too much and what is no plain value.

    A value that aliases share is measured once and remembered, so this takes no longer than the
    text is long, whatever its aliases stand for.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._above: set[int] = set()

    def of(self, value: Any) -> tuple[int, int]:
        """How many values a value stands for, and how deep it is nested."""
        if not isinstance(value, dict | list):
            _check_scalar(value)
            return 1, 0
        if id(value) in self._above:
            raise YamlError("a value holds itself through an alias")
        if id(value) not in self._known:
            self._above.add(id(value))
            inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            measured = [self.of(part) for part in inner]
            self._above.remove(id(value))
            count = 1 + sum(values for values, _ in measured)
            depth = 1 + max((deep for _, deep in measured), default=0)
            if count > MAX_VALUES:
                raise YamlError(f"it stands for more than {MAX_VALUES} values")
            if depth > MAX_DEPTH:
                raise YamlError(f"it is nested more than {MAX_DEPTH} deep")
            self._known[id(value)] = count, depth
        return self._known[id(value)]


def _check_scalar(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value or (not value.isascii() and _has_surrogates(value)):
            raise YamlError(f"the text {value!r:.80} holds characters that no file can")
    elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise YamlError(f"the number {value:.3e} is too large: an integer has 64 bits")
    elif not (value is None or isinstance(value, bool | int | float)):
        kind = type(value).__name__
        raise YamlError(f"{value!r:.80} is a {kind}, which a sweep has no use for: quote a text")


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
