"""One voice for what is wrong: the field as it was written, its value, what would be right."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tune_select.secrets import mask_value
from tune_select.wording import did_you_mean, shown

_MOST_LINES = 30  # a list of the wrong kind is wrong in every entry

Checked = TypeVar("Checked", bound=BaseModel)


class Problem(NamedTuple):
    """What is wrong with one field; the line that says it is ``field`` followed by ``text``."""

    field: str
    text: str


class SettingsError(ValueError):
    """Settings that cannot be used as written; the message has a line for each wrong field."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, field by field."""
        found: tuple[Problem, ...] = self.args[0]
        return found

    def __str__(self) -> str:
        lines = [problem.field + problem.text for problem in self.problems]
        more = len(lines) - _MOST_LINES
        return "\n".join(lines if more <= 0 else [*lines[:_MOST_LINES], f"and {more} more"])

    def placed(self, place: Callable[[str], str]) -> SettingsError:
        """The same error, with each field renamed to where the user wrote it."""
        return SettingsError([Problem(place(field), text) for field, text in self.problems])


def checked(model: type[Checked], written: Any, prefix: str = "") -> Checked:
    """A mapping that a user wrote as the model that knows its keys.

    Args:
        model: Knows the keys, what each may be, and the defaults.
        written: The mapping.
        prefix: Where the mapping stands in what the user wrote, with its dot (``data.``).

    Raises:
        SettingsError: Each wrong field, its value and what would be right.
    """
    if isinstance(written, model):
        return written
    if not isinstance(written, Mapping):
        place = prefix.rstrip(".") or "it"
        raise SettingsError([Problem(place, f" must be a mapping, got {_shown(place, written)}")])
    try:
        return model.model_validate(written)
    except ValidationError as error:
        raise SettingsError(problems_of(error, model, written, prefix)) from None


def _shown(field: str, value: Any) -> str:
    """A value as messages show it, unless its field's name speaks of a secret."""
    return shown(mask_value(field, value))


def unknown_key(field: str, value: Any, known: Collection[str]) -> Problem:
    """A key that nothing reads, and the one that was probably meant.

    Args:
        field: The key with all that stands before it, as the user wrote it.
        value: Its value.
        known: Keys that would be read in its place.
    """
    meant = did_you_mean(field.rpartition(".")[2], known)
    return Problem(field, f"={_shown(field, value)} is an unknown key; {meant}")


def problems_of(
    error: ValidationError, model: type[BaseModel], written: Any, prefix: str = ""
) -> list[Problem]:
    """What is wrong, one entry for each field.

    Args:
        error: What validating ``written`` with ``model`` raised.
        model: Knows the keys and what each may be.
        written: The mapping as the user wrote it.
        prefix: The prefix of every field, with its dot: where the mapping stands in what the user
            wrote.
    """
    items = [(_written_path(item["loc"], model, written), item) for item in error.errors()]
    found: dict[str, Problem] = {}
    for path, item in items:
        # Where a name or a mapping may stand, both kinds complain; what lies deeper was meant.
        if any(len(other) > len(path) and other[: len(path)] == path for other, _ in items):
            continue
        field = prefix + _dotted(path, written) if path else prefix.rstrip(".")
        if field not in found or item["type"] == "extra_forbidden":
            found[field] = _problem(field, path, item, model)
    return list(found.values())


def _problem(field: str, path: tuple[str | int, ...], item: Any, model: type[BaseModel]) -> Problem:
    value = item.get("input")
    if item["loc"] and item["loc"][-1] == "[key]":
        place, _, _ = field.rpartition("[")
        return Problem(place or field, f" has the key {shown(value)}, which is no text: quote it")
    if item["type"] == "invalid_key":
        return Problem(f"the key {shown(value)}", " is no text: quote it")
    if item["type"] == "missing":
        misspelt = _misspelt(str(path[-1]), value, _keys_at(model, path[:-1]))
        given = misspelt or "give it " + (_expected(model, path) or "a value")
        return Problem(field, f" is missing; {given}")
    if item["type"] == "extra_forbidden":
        return unknown_key(field, value, _keys_at(model, path[:-1]))
    if item["type"] in ("value_error", "assertion_error"):
        message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return Problem(field, _behind(field, message))
    expected = _expected(model, path)
    if expected is None:
        message = str(item["msg"])
        return Problem(field, f": {message[0].lower()}{message[1:]}, got {_shown(field, value)}")
    return Problem(
        field or "it",
        f" must be {expected}, got {_shown(field, value)}{_hint(value, expected, item)}",
    )


def _behind(field: str, message: str) -> str:
    """A validator's own words as they stand behind the field: ``x must be``, or ``x: y is``."""
    if not field:
        return message
    if message.startswith((f"{field} ", f"{field}:")):
        return message.removeprefix(field)
    return f" {message}" if message.startswith("must ") else f": {message}"


def _hint(value: Any, expected: str, item: Any) -> str:
    """What was probably meant by a value of another kind, or by a name that is not known."""
    if isinstance(value, bool) and "text" in expected:
        return " (YAML reads yes, no, on and off as true and false: quote a text)"
    if isinstance(value, str) and "number" in expected and _is_number(value):
        return " (a text: write it without quotes)"
    if isinstance(value, str) and item["type"] == "literal_error":
        near = did_you_mean(value, re.findall(r"'([^']*)'", str(item["ctx"]["expected"])))
        return f"; {near}" if near.startswith("did") else ""
    return ""


def _misspelt(missing: str, written: Any, known: Collection[str]) -> str:
    """The unknown key that was probably meant for a missing one."""
    unknown = [str(key) for key in written if key not in known] if written else []
    near = difflib.get_close_matches(missing, unknown, n=1)
    return f"is it meant by {near[0]}={_shown(near[0], written[near[0]])}?" if near else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _written_path(
    loc: tuple[str | int, ...], model: type[BaseModel], written: Any
) -> tuple[str | int, ...]:
    """The parts of pydantic's path that the user wrote; the rest names members of unions."""
    path: list[str | int] = []
    node = written
    for place, part in enumerate(loc):
        if _has(node, part):
            node = node[part]
        elif place == len(loc) - 1 and isinstance(node, Mapping) and _is_key(part, model, path):
            node = None  # a key that is missing
        else:
            continue
        path.append(part)
    return tuple(path)


def _is_key(part: str | int, model: type[BaseModel], path: Sequence[str | int]) -> bool:
    """Whether a part that nobody wrote is a key that is missing, and no member of a union."""
    return part in _keys_at(model, tuple(path))


def _dotted(path: tuple[str | int, ...], written: Any) -> str:
    """``arms.mine.fraction``: entries of a list go by their ``name`` where they have one."""
    text, node = "", written
    for part in path:
        node = node[part] if _has(node, part) else None
        if isinstance(part, int):
            name = node.get("name") if isinstance(node, Mapping) else None
            text += f".{name}" if isinstance(name, str) else f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def _has(node: Any, part: str | int) -> bool:
    return (isinstance(node, Mapping) and part in node) or (
        isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)
    )


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> set[str]:
    return {key for found in _models_at(model, path) for key in found.model_fields}


def _models_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[type[BaseModel]]:
    if not path:
        return [model]
    return [part for part in _members(_type_at(model, path)) if _is_model(part)]


def _type_at(model: type[BaseModel], path: tuple[str | int, ...]) -> Any:
    """The annotation of what stands at a path; ``None`` where nothing is known of it."""
    found = _field_at(model, path)
    return found.annotation if isinstance(found, FieldInfo) else found


def _field_at(model: type[BaseModel], path: tuple[str | int, ...]) -> Any:
    place: Any = model
    for part in path:
        members = list(_members(place.annotation if isinstance(place, FieldInfo) else place))
        place = None
        for member in members:
            if _is_model(member) and part in member.model_fields:
                place = member.model_fields[part]
            elif get_origin(member) in (list, tuple) and isinstance(part, int):
                place = get_args(member)[0]
            elif get_origin(member) in (dict, Mapping):
                place = get_args(member)[1]
        if place is None:
            return None
    return place


def _members(annotation: Any) -> Iterator[Any]:
    """The members of a union, or the annotation itself; what annotates them is left out."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_model(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, BaseModel)


def _expected(model: type[BaseModel], path: tuple[str | int, ...]) -> str | None:
    field = _field_at(model, path)
    if field is None:
        return None
    if isinstance(field, FieldInfo):
        if field.description is not None:
            return field.description
        return _described(field.annotation, field.metadata)
    return _described(field, [])


def _described(annotation: Any, metadata: list[Any]) -> str | None:
    """What a value may be, in words; ``None`` where the annotation tells too little."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        bounds = [part for item in more for part in getattr(item, "metadata", [item])]
        return _described(inner, [*bounds, *metadata])
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [_described(member, metadata) for member in get_args(annotation)]
        known = [part for part in parts if part is not None]
        return " or ".join(dict.fromkeys(known)) if len(known) == len(parts) else None
    if get_origin(annotation) is Literal:
        return _listed([_yaml_word(value) for value in get_args(annotation)])
    if annotation in (int, float):
        return _number(annotation, metadata)
    pattern = next((m.pattern for m in metadata if getattr(m, "pattern", None)), None)
    if annotation is str and pattern is not None:
        return f"a text that matches {pattern}"
    words = {str: "a text", bool: "true or false", type(None): "null", dict: "a mapping"}
    if annotation in words:
        return words[annotation]
    if get_origin(annotation) in (dict, Mapping) or _is_model(annotation):
        return "a mapping"
    if get_origin(annotation) in (list, tuple):
        items = _described(get_args(annotation)[0], [])
        least = max((getattr(m, "min_length", None) or 0 for m in metadata), default=0)
        what = f"a list of entries, each {items}" if items is not None else "a list"
        return f"{what}, and not empty" if least else what
    return None


def _yaml_word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _number(kind: type, metadata: list[Any]) -> str:
    bounds: dict[str, Any] = {}
    for item in metadata:
        for name in ("gt", "ge", "lt", "le"):
            if getattr(item, name, None) is not None:
                bounds[name] = getattr(item, name)
    if kind is int and set(bounds) <= {"ge"}:
        return f"an integer of at least {bounds['ge']}" if bounds else "an integer"
    left = (
        f"({bounds['gt']}" if "gt" in bounds else f"[{bounds['ge']}" if "ge" in bounds else "(-inf"
    )
    right = (
        f"{bounds['lt']})" if "lt" in bounds else f"{bounds['le']}]" if "le" in bounds else "inf)"
    )
    what = "an integer" if kind is int else "a number"
    return f"{what} in {left}, {right}" if bounds else f"{what} that is finite"
