"""Calling a model's factory with exactly what it takes, and nothing that it would choke on."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from torch import nn

from tune_select.wording import did_you_mean

ALIASES = {"in_channels": "in_chans", "image_size": "img_size"}
"""What timm calls what the data demand."""

_NOT_TAKEN = re.compile(
    r"unexpected keyword argument '(\w+)'|multiple values for (?:keyword )?argument '(\w+)'"
)
_MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)")


@dataclass(frozen=True)
class Accepted:
    """What a factory can be called with.

    Attributes:
        names: Keywords that are known to be taken, by itself or by what it hands ``**kwargs`` to.
        alone: Whether it has no parameter but ``**kwargs``.
        further: Whether it takes ``**kwargs``, so that any keyword passes its own signature.
        unknown: Whether nobody can tell what becomes of these.
    """

    names: tuple[str, ...]
    alone: bool
    further: bool
    unknown: bool


def accepted(factory: Any) -> Accepted:
    """What ``factory`` takes, seen through ``**kwargs`` where that can be told.

    A class that takes ``**kwargs`` hands them to the next ``__init__`` of its bases; a function
    that says which module it returns (``-> ResNet``, as those of torchvision and timm do) hands
    them to that module's ``__init__``.
    """
    own = list(_parameters(factory))
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    names = [p.name for p in own if p.kind in by_name]
    further = any(p.kind is Parameter.VAR_KEYWORD for p in own)
    inner = list(_handed_to(factory)) if further else []
    open_ended = further
    for made in inner:
        names += [p.name for p in made if p.kind is not Parameter.VAR_KEYWORD]
        open_ended = any(p.kind is Parameter.VAR_KEYWORD for p in made)
        if not open_ended:
            break
    return Accepted(tuple(dict.fromkeys(names)), not names, further, open_ended)


def _parameters(factory: Any) -> Iterator[Parameter]:
    try:
        yield from inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # built in C, say
        yield Parameter("kwargs", Parameter.VAR_KEYWORD)


def _handed_to(factory: Any) -> Iterator[list[Parameter]]:
    """Parameters of what the factory's ``**kwargs`` go to, and where those go to, in turn."""
    if inspect.isclass(factory):
        classes: tuple[type, ...] = factory.__mro__[1:]
    else:
        made = _made(factory)
        classes = () if made is None else made.__mro__
    for cls in classes:
        if cls is nn.Module or cls is object:
            return
        if "__init__" in vars(cls):
            yield list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]


def _made(function: Any) -> type | None:
    """The module class that a function is annotated to return."""
    try:
        found = inspect.signature(function, eval_str=True).return_annotation
    except Exception:  # an annotation may be any expression, of names that are not there
        return None
    return found if inspect.isclass(found) and issubclass(found, nn.Module) else None


def call_factory(
    factory: Any, name: str, shape: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[Any, frozenset[str]]:
    """What ``factory`` makes, and which of ``shape`` it was told.

    Where ``**kwargs`` may go anywhere, ``num_classes`` is tried, and withdrawn if it is refused;
    a factory of ``**kwargs`` alone is offered all of ``shape`` in this way.

    Args:
        factory: A class or function.
        name: Its name as the user wrote it.
        shape: What the data demand.
        settings: The user's ``model_settings``, given as they are; they go before ``shape``.

    Raises:
        ValueError: It does not take the settings, or needs others.
    """
    takes = accepted(factory)
    _check_settings(takes, name, shape, settings)
    told = {key: _taken_as(key, takes.names) for key in shape}
    given = {word: shape[key] for key, word in told.items() if word and word not in settings}
    tried: set[str] = set()
    if takes.unknown:
        offered = shape if takes.alone else {"num_classes"} & set(shape)
        tried = {key for key in offered if key not in given and key not in settings}
        given |= {key: shape[key] for key in tried}
    while True:
        try:
            model = factory(**given, **settings)
        except TypeError as error:
            refused = _NOT_TAKEN.search(str(error))
            keyword = refused and (refused.group(1) or refused.group(2))
            if keyword not in tried:
                raise ValueError(_refusal(name, error)) from error
            tried.discard(keyword)
            del given[keyword]
        else:
            words = {told[key] or key: key for key in shape}
            return model, frozenset(words[word] for word in given)


def _taken_as(key: str, names: tuple[str, ...]) -> str | None:
    return next((word for word in (key, ALIASES.get(key)) if word in names), None)


def _check_settings(
    takes: Accepted, name: str, shape: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    unknown = [key for key in settings if key not in takes.names]
    if unknown and not takes.further:
        others = [word for word in takes.names if word not in shape]
        near = did_you_mean(unknown[0], others)
        raise ValueError(
            f"model_settings.{unknown[0]} is not taken by model {name!r}; it takes "
            f"{', '.join(others) or 'none'}{f'; {near}' if near.startswith('did') else ''}"
        )


def _refusal(name: str, error: TypeError) -> str:
    missing = _MISSING.search(str(error))
    if missing:
        return (
            f"model {name!r} needs {missing.group(1)}, which the data do not tell: give it under "
            "model_settings"
        )
    return f"model {name!r} cannot be made with these model_settings: {error}"
