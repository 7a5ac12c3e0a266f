"""The space of a sweep: inline YAML or a function, as what Ray Tune and Optuna understand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.search.variant_generator import generate_variants

from tune_select.imports import import_string
from tune_select.mappings import has_key, nested_at, value_at
from tune_select.mappings import merged as merged_plainly
from tune_select.search.param_space import varies

_DOMAINS: dict[str, Callable[..., Any]] = {
    "uniform": tune.uniform,
    "quniform": tune.quniform,
    "loguniform": tune.loguniform,
    "qloguniform": tune.qloguniform,
    "randint": tune.randint,
    "qrandint": tune.qrandint,
    "lograndint": tune.lograndint,
    "randn": tune.randn,
}


@dataclass(frozen=True)
class Space:
    """What a sweep varies.

    Attributes:
        params: Nested Tune parameter space; empty for a define-by-run space.
        axes: The varied keys, dotted where they lie deeper; empty for a define-by-run space, whose
            axes are known only from its trials.
        points: The configurations themselves where the space is a list of them, else empty.
        define_by_run: A function of an Optuna trial, or ``None``.
    """

    params: dict[str, Any]
    axes: tuple[str, ...]
    points: tuple[dict[str, Any], ...] = ()
    define_by_run: Callable[[Any], dict[str, Any] | None] | None = None

    def example(self) -> dict[str, Any]:
        """One configuration of the space, to check before anything runs."""
        if self.points:
            return self.points[0]
        if not self.params:
            return {}
        return dict(next(iter(generate_variants(self.params)))[1])

    def grid_values(self, axis: str) -> list[Any]:
        """All values of a grid axis.

        Raises:
            ValueError: The axis is not in the space, or is not a list of values.
        """
        if self.points and axis in self.axes:
            listed = [value_at(point, axis) for point in self.points]
            return [value for i, value in enumerate(listed) if value not in listed[:i]]
        node = value_at(self.params, axis) if has_key(self.params, axis) else None
        if not (isinstance(node, Mapping) and "grid_search" in node):
            raise ValueError(
                f"tune.seed_by names {axis!r}, which is not a list of values in space; "
                f"grid axes there: {', '.join(self.axes) or 'none'}"
            )
        return list(node["grid_search"])


def resolve_space(space: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Space:
    """Read ``space`` of a sweep.

    Args:
        space: An import string of a function that returns a Tune space, or that takes an Optuna
            trial and suggests (define-by-run); or a mapping from keys (dotted for nested ones) to
            a list of values, a constant, ``{loguniform: [low, high]}``, ``{choice: [...]}``,
            ``{grid: [...]}`` or another of Tune's domains by name; or a list of mappings with the
            same (dotted) keys, each a configuration to try.

    Raises:
        ValueError: A domain is unknown or takes other arguments, or listed configurations have
            different keys or repeat; the message names the key.
    """
    if isinstance(space, Sequence) and not isinstance(space, str):
        return _listed(space)
    if isinstance(space, str):
        function = import_string(space, "space")
        if not callable(function):
            raise ValueError(f"space is {space!r}, which is not a function")
        if inspect.signature(function).parameters:
            return Space(params={}, axes=(), define_by_run=function)
        written: Mapping[str, Any] = function()
    else:
        written = space
    flat = {key: _domain(key, value) for key, value in written.items()}
    axes = tuple(key for key, value in flat.items() if varies(value))
    if not axes:
        raise ValueError("space varies nothing; give at least one key a list or a range")
    return Space(params=_nested(flat), axes=axes)


def merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``override`` laid over it, nested mappings key by key; neither is changed."""
    return merged_plainly(base, override, whole=varies)


def _domain(key: str, value: Any) -> Any:
    if varies(value):
        return value
    if isinstance(value, list):
        return tune.grid_search(value)
    if not isinstance(value, Mapping):
        return value
    if len(value) != 1:
        raise ValueError(f"space.{key} must name one domain, got {sorted(value)}")
    ((name, arguments),) = value.items()
    if name == "grid":
        return tune.grid_search(list(arguments))
    if name == "choice":
        return tune.choice(list(arguments))
    if name not in _DOMAINS:
        known = ", ".join(["grid", "choice", *_DOMAINS])
        raise ValueError(f"space.{key} has the unknown domain {name!r}; known: {known}")
    try:
        return _DOMAINS[name](*arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"space.{key}.{name}: {arguments!r} does not fit: {error}") from None


def _listed(points: Sequence[Mapping[str, Any]]) -> Space:
    if not points:
        raise ValueError("space lists no configuration; give at least one")
    keys = set(points[0])
    for number, point in enumerate(points):
        if set(point) != keys or not keys:
            raise ValueError(
                f"space[{number}] sets {sorted(point)}, but space[0] sets {sorted(keys)}; give "
                "every configuration the same keys"
            )
        if point in points[:number]:
            raise ValueError(f"space[{number}] repeats {dict(point)}; list it once")
    return Space(params={}, axes=tuple(points[0]), points=tuple(_nested(point) for point in points))


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        nested = merged(nested, nested_at(key, value))
    return nested
