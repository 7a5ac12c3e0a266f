"""Selectors by name, for YAML, command lines and trial configurations."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tune_select.imports import import_string
from tune_select.keywords import check_keywords, keywords_of
from tune_select.selection.base import Selector
from tune_select.selection.craig import Craig
from tune_select.selection.entropy import Entropy
from tune_select.selection.features import FacilityLocation
from tune_select.selection.forgetting import Forgetting
from tune_select.selection.full import Full
from tune_select.selection.glister import Glister
from tune_select.selection.gradmatch import GradMatch
from tune_select.selection.per_batch import PerBatch
from tune_select.selection.per_class import PerClass
from tune_select.selection.random import Random, RandomOnce


def _per_batch(inner: Callable[..., Selector]) -> Callable[..., Selector]:
    def build(
        *, batch_size: int = 128, redeal: bool = False, seed: int = 0, **settings: Any
    ) -> Selector:
        return PerBatch(inner(**settings), batch_size=batch_size, redeal=redeal, seed=seed)

    return _handing_on(build, inner)


def _with(inner: Callable[..., Selector], **defaults: Any) -> Callable[..., Selector]:
    def build(**settings: Any) -> Selector:
        return inner(**{**defaults, **settings})

    return _handing_on(build, inner)


def _handing_on(
    build: Callable[..., Selector], inner: Callable[..., Selector]
) -> Callable[..., Selector]:
    return functools.update_wrapper(build, inner, assigned=(), updated=())


def _stratified_random() -> Selector:
    return PerClass(Random())


_BUILDERS: dict[str, Callable[..., Selector]] = {
    "full": Full,
    "random": Random,
    "random_once": RandomOnce,
    "random_stratified": _stratified_random,
    "random_pb": _per_batch(Random),
    "gradmatch": GradMatch,
    "gradmatch_pb": _per_batch(GradMatch),
    "gradmatch_whole": _with(GradMatch, gradients="layer"),
    "gradmatch_outputs": _with(GradMatch, gradients="outputs"),
    "gradmatch_all": _with(GradMatch, gradients="layer", per_class=False),
    "craig": Craig,
    "craig_pb": _per_batch(Craig),
    "glister": Glister,
    "facility_location": FacilityLocation,
    "entropy": Entropy,
    "forgetting": Forgetting,
}

SELECTOR_NAMES: tuple[str, ...] = tuple(_BUILDERS)
"""Short names that ``selector_named`` knows."""

_TRIALS_OWN = ("batch_size", "seed")


def trials_own(name: str) -> frozenset[str]:
    """Which settings of a named selector are the trial's unless given: ``batch_size``, ``seed``.

    The batches that are chosen are the batches of the steps, and what is drawn once for a trial
    hangs on that trial's seed. Selectors by import string take theirs as they were written.
    """
    build = _BUILDERS.get(name)
    known = () if build is None else keywords_of(build)
    return frozenset(key for key in _TRIALS_OWN if key in known)


def selector_named(name: str, /, **settings: Any) -> Selector:
    """Build a selector from its name and settings.

    Args:
        name: One of ``SELECTOR_NAMES``, or the import string of a ``Selector`` subclass of your own
            (``"package.module.Class"`` or ``"package.module:Class"``).
        **settings: Keyword arguments of its constructor; per-batch names take ``batch_size``,
            ``redeal`` and ``seed`` beside those of the selector inside.

    Raises:
        ValueError: The name or a setting is unknown, or a setting is outside its range.
    """
    build = _BUILDERS.get(name) or _imported(name)
    check_keywords(name, settings, keywords_of(build))
    try:
        return build(**settings)
    except TypeError as error:
        raise ValueError(f"settings of selector {name!r} do not fit: {error}") from error


def _imported(path: str) -> type[Selector]:
    found = import_string(path, "selector", SELECTOR_NAMES)
    if not (inspect.isclass(found) and issubclass(found, Selector)):
        raise ValueError(f"selector {path!r} is not a subclass of tune_select.selection.Selector")
    return found
