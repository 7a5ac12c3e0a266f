"""The space of a sweep: inline YAML or a function, as what Ray Tune and Optuna understand."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ray import tune
from ray.tune.search.sample import Categorical, Function
from ray.tune.search.variant_generator import generate_variants

from tune_select.imports import import_string
from tune_select.mappings import has_key, nested_at, value_at
from tune_select.mappings import merged as merged_plainly
from tune_select.search.param_space import varies
from tune_select.users_code import users_code
from tune_select.wording import did_you_mean, shown

Item = TypeVar("Item")

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

_DEEPEST = 40  # parts of a dotted key


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

    @property
    def cells(self) -> int:
        """How many configurations are listed, or cells of a grid; 1 where all is drawn."""
        if self.points:
            return len(self.points)
        nodes = [value_at(self.params, axis) for axis in self.axes]
        grids = [node["grid_search"] for node in nodes if isinstance(node, Mapping)]
        return math.prod(len(values) for values in grids)

    def example(self) -> dict[str, Any]:
        """One configuration of the space, to check before anything runs."""
        if self.points:
            return self.points[0]
        if not self.params:
            return {}
        return dict(next(iter(generate_variants(self.params)))[1])

    def examples(self) -> list[dict[str, Any]]:
        """Configurations that between them hold every listed value, and one of every range.

        Values of one axis after the other, the others at their first: what is wrong with a value
        is found whichever it stands beside, and their number is the sum of the axes, not the
        product.

        Raises:
            ValueError: A domain cannot be drawn from; the message names the axis.
        """
        if self.points or not self.params:
            return list(self.points) or [{}]
        values = {axis: _values(axis, value_at(self.params, axis)) for axis in self.axes}
        first = self.params
        for axis, listed in values.items():
            first = _with_value(first, axis, listed[0])
        others = [
            _with_value(first, axis, value)
            for axis, listed in values.items()
            for value in listed[1:]
        ]
        return [_drawn(params) for params in (first, *others)]

    def listed(self) -> list[dict[str, Any]]:
        """All configurations of a space that lists every value; none of one with ranges."""
        nodes = [value_at(self.params, axis) for axis in self.axes if self.params]
        if self.points or not nodes or not all(isinstance(node, Mapping) for node in nodes):
            return list(self.points)
        return [dict(point) for _, point in generate_variants(self.params)]

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
        with users_code(f"space is {space!r}, which"):
            takes_a_trial = bool(inspect.signature(function).parameters)
            written = None if takes_a_trial else function()
        if takes_a_trial:
            return Space(params={}, axes=(), define_by_run=function)
    else:
        written = space
    if not isinstance(written, Mapping):
        raise ValueError(f"space must be a mapping of keys, got {written!r:.200}")
    for key in written:
        parts = str(key).split(".")
        if not isinstance(key, str) or not all(parts) or len(parts) > _DEEPEST:
            raise ValueError(f"space has the key {key!r:.200}; keys are texts such as a.b")
        above = [".".join(parts[:i]) for i in range(1, len(parts))]
        if any(other in written for other in above):
            raise ValueError(f"space.{key} lies inside another key of space; give only one of them")
    flat = {key: _domain(key, value) for key, value in written.items()}
    axes = tuple(key for key, value in flat.items() if varies(value))
    if not axes:
        raise ValueError("space varies nothing; give at least one key a list or a range")
    return Space(params=_nested(flat), axes=axes)


def merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``override`` laid over it, nested mappings key by key; neither is changed."""
    return merged_plainly(base, override, whole=varies)


def _values(axis: str, node: Any) -> list[Any]:
    """All that is listed of an axis; a range stands for itself, and is tried once."""
    if isinstance(node, Mapping):
        listed = list(node["grid_search"])
    elif isinstance(node, Categorical):
        listed = list(node.categories)
    else:
        if not isinstance(node, Function):  # which may need the other values
            _drawn({axis: node}, f"space.{axis}")
        listed = [node]
    if not listed:
        raise ValueError(f"space.{axis} lists no value; give at least one")
    return listed


def _with_value(params: Mapping[str, Any], axis: str, value: Any) -> dict[str, Any]:
    """``params`` with another value at a dotted key, whatever stood there."""
    head, _, rest = axis.partition(".")
    return {**params, head: _with_value(params[head], rest, value) if rest else value}


def _drawn(params: Mapping[str, Any], name: str = "space") -> dict[str, Any]:
    try:
        return dict(next(iter(generate_variants(dict(params), random_state=0)))[1])
    except Exception as error:  # whatever NumPy or code of the user's makes of odd bounds
        raise ValueError(f"{name} cannot be drawn from: {type(error).__name__}: {error}") from None


def _domain(key: str, value: Any) -> Any:
    if varies(value):
        return value
    if isinstance(value, list):
        return tune.grid_search(value)
    if not isinstance(value, Mapping):
        return value
    if any(not isinstance(name, str) for name in value):
        raise ValueError(f"space.{key} must name one domain by a text, got {value!r}")
    if len(value) != 1:
        raise ValueError(f"space.{key} must name one domain, got {sorted(value)}")
    ((name, arguments),) = value.items()
    if not isinstance(arguments, list | tuple):
        raise ValueError(f"space.{key}.{name} must be a list, got {shown(arguments)}")
    if name == "grid":
        return tune.grid_search(list(arguments))
    if name == "choice":
        return tune.choice(list(arguments))
    if name not in _DOMAINS:
        meant = did_you_mean(name, ["grid", "choice", *_DOMAINS])
        raise ValueError(
            f"space.{key} has the unknown domain {name!r}; {meant} (a key inside {key} is written "
            f"with a dot: {key}.{name})"
        )
    bounds = [bound for bound in arguments[:2] if isinstance(bound, int | float)]
    if name != "randn" and len(bounds) == 2 and bounds[0] > bounds[1]:  # its own are mean and sd
        raise ValueError(
            f"space.{key}.{name}: {shown(arguments)} has its upper bound first; write "
            f"{shown([bounds[1], bounds[0], *arguments[2:]])}"
        )
    try:
        return _DOMAINS[name](*arguments)
    except Exception as error:  # a step of 0 divides by it, and so on
        raise ValueError(
            f"space.{key}.{name}: {shown(arguments)} does not fit: {error!s:.300}"
        ) from None


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


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Items spread evenly over all, the first and the last among them; all where they are few.

    Args:
        items: The items in their order.
        most: How many, at least 2.
    """
    if len(items) <= most:
        return list(items)
    last = len(items) - 1
    return [items[round(i * last / (most - 1))] for i in range(most)]
