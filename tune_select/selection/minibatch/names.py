"""Selectors inside the mini-batch by name, as a sweep's YAML has them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from tune_select.imports import import_string, is_import_string
from tune_select.keywords import check_keywords, keywords_of
from tune_select.selection.minibatch.ada_boost import AdaBoost
from tune_select.selection.minibatch.ada_selection import AdaSelection
from tune_select.selection.minibatch.base import MiniBatchSelector
from tune_select.selection.minibatch.big_loss import BigLoss
from tune_select.selection.minibatch.coreset import CoresetExtremes, CoresetMean
from tune_select.selection.minibatch.gradient_matching import GradientMatching
from tune_select.selection.minibatch.gradient_norm import GradientNorm
from tune_select.selection.minibatch.kath18 import Kath18
from tune_select.selection.minibatch.scheduled import Scheduled
from tune_select.selection.minibatch.selective_backprop import SelectiveBackprop
from tune_select.selection.minibatch.selective_backprop_fixed import SelectiveBackpropFixed
from tune_select.selection.minibatch.small_loss import SmallLoss
from tune_select.selection.minibatch.stale import Stale
from tune_select.selection.minibatch.uniform import Uniform
from tune_select.wording import did_you_mean, shown

_CLASSES: Final[Mapping[str, type[MiniBatchSelector]]] = {
    "uniform": Uniform,
    "big_loss": BigLoss,
    "small_loss": SmallLoss,
    "gradient_norm": GradientNorm,
    "ada_boost": AdaBoost,
    "coreset1": CoresetExtremes,
    "coreset2": CoresetMean,
    "selective_backprop": SelectiveBackprop,
    "selective_backprop_fixed": SelectiveBackpropFixed,
    "kath18": Kath18,
    "ada_selection": AdaSelection,
    "gradient_matching": GradientMatching,
}

SELECTOR_NAMES: Final[tuple[str, ...]] = tuple(_CLASSES)
"""The short names that ``selector_named`` knows."""

DEFAULT_POOL: Final = ("big_loss", "small_loss", "uniform")
"""AdaSelection's candidates where none are named (Zhang et al., section 4)."""

_SCHEDULE: Final = {"start": 0.0, "end": 1.0, "interrupt": 0}


def selector_named(name: str, /, **settings: Any) -> MiniBatchSelector:
    """A selector from its name and its constructor's keywords.

    Args:
        name: One of ``SELECTOR_NAMES``, or the import string of a ``MiniBatchSelector`` of one's
            own (``package.module.Class`` or ``package.module:Class``).
        settings: The constructor's keywords, and those of the wrappers around any selector:
            ``stale`` (epochs between selection passes, see ``Stale``); ``start``, ``end`` and
            ``interrupt`` (see ``Scheduled``; by default from the first epoch to the last). The
            ``pool`` of ``ada_selection`` may hold names and ``{name: settings}`` mappings.

    Raises:
        ValueError: An unknown name or setting, or a setting out of range.
    """
    schedule = {key: settings.pop(key) for key in _SCHEDULE if key in settings}
    every = settings.pop("stale", None)
    selector_class = _class_named(name)
    if selector_class is AdaSelection:
        settings = {**settings, "pool": _pool(settings.get("pool", DEFAULT_POOL))}
    known = keywords_of(selector_class)
    check_keywords(name, settings, [*known, "stale", *_SCHEDULE])
    try:
        selector = selector_class(**settings)
        if every is not None:
            selector = Stale(selector, every)
        return Scheduled(selector, **{**_SCHEDULE, **schedule}) if schedule else selector
    except TypeError as error:  # a text where a number belongs, say
        raise ValueError(f"settings of selector {name!r} do not fit: {error}") from error


def is_selector_name(name: str) -> bool:
    """Whether ``selector_named`` knows ``name``, or it is the import string of such a class."""
    try:
        _class_named(name)
    except ValueError:
        return False
    return True


def _class_named(name: str) -> type[MiniBatchSelector]:
    if name in _CLASSES:
        return _CLASSES[name]
    if not is_import_string(name):
        meant = did_you_mean(name, SELECTOR_NAMES)
        raise ValueError(f"unknown mini-batch selector {name!r}; {meant}")
    found = import_string(name, "the mini-batch selector")
    if not (inspect.isclass(found) and issubclass(found, MiniBatchSelector)):
        raise ValueError(f"{name!r} is not a MiniBatchSelector, but {found!r}")
    return found


def _pool(entries: Any) -> list[Any]:
    """Candidates from names, ``{name: settings}`` mappings and selectors."""
    if not isinstance(entries, list | tuple):
        raise ValueError(f"pool must be a list of candidates, got {shown(entries)}")
    pool: list[Any] = []
    for entry in entries:
        if isinstance(entry, str):
            pool.append(selector_named(entry))
        elif isinstance(entry, Mapping):
            for name, keys in entry.items():
                if not (isinstance(name, str) and isinstance(keys or {}, Mapping)):
                    raise ValueError(
                        f"a candidate of pool is a name or {{name: settings}}, got {shown(entry)}"
                    )
                pool.append(selector_named(name, **(keys or {})))
        else:
            pool.append(entry)
    return pool
