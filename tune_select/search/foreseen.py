"""Points of a space that are known before any is drawn, to look at what the search will meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.sample import Float, Integer, Quantized

from tune_select.mappings import nested_at
from tune_select.search.fixed_points import FixedPoints
from tune_select.search.param_space import searched_keys
from tune_select.search.space import Space, merged, spread

MOST = 4096
"""Points of a listed space: of more, as many spread evenly, the last among them."""

DRAWN = 64
"""Points drawn of a define-by-run space, of which nothing is known but what it suggests."""


def foreseen(space: Mapping[str, Any], searcher: Searcher | None) -> Iterator[dict[str, Any]]:
    """Points that between them hold every listed value of every axis, and both ends of ranges.

    Of a searcher with a space of its own: the points that it was given, or some drawn from an
    Optuna space, define-by-run ones among them. Of others nothing is foreseen; and nothing here
    stands for what depends on other values (``tune.sample_from``) and cannot be drawn alone.

    Args:
        space: A parameter space with all constants.
        searcher: Proposes points; ``None`` for grid and random sampling of ``space``.

    Raises:
        ValueError: A define-by-run function fails.
    """
    if isinstance(searcher, FixedPoints):
        yield from (merged(space, point) for point in searcher.configs)
        return
    own = getattr(searcher, "_space", None)  # Optuna's; the searcher has no other way to say it
    if callable(own):
        yield from (merged(space, point) for point in branches(own))
    elif own and isinstance(own, Mapping) and all(hasattr(one, "single") for one in own.values()):
        yield from (merged(space, _nested(point)) for point in _suggested(own))
    else:
        axes = sorted(key.replace("/", ".") for key in searched_keys(space))
        ends = Space(_with_ends(space), tuple(axes))
        try:
            yield from spread(ends.examples(), MOST)
        except ValueError:  # then each point is looked at when it is drawn
            return


def branches(define_by_run: Callable[[Any], Mapping[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """Points that a define-by-run function suggests, drawn at random, always the same.

    Args:
        define_by_run: Takes an Optuna trial, suggests, and returns constants.

    Raises:
        ValueError: The function fails; names what it had suggested.
    """
    for trial in _trials():
        try:
            constants = define_by_run(trial) or {}
        except Exception as error:  # code of the user's: it may raise what it likes
            raise ValueError(
                f"space raised {type(error).__name__} at {trial.params}: {error!s:.300}"
            ) from error
        yield _nested({**trial.params, **constants})


def _suggested(distributions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for trial in _trials(dict(distributions)):
        yield dict(trial.params)


def _nested(point: Mapping[str, Any]) -> dict[str, Any]:
    """The point as Tune's Optuna searcher proposes it: a ``/`` in a name leads deeper."""
    nested: dict[str, Any] = {}
    for key, value in point.items():
        nested = merged(
            nested, nested_at(key.replace("/", "."), value) if "/" in key else {key: value}
        )
    return nested


def _trials(distributions: dict[str, Any] | None = None) -> Iterator[Any]:
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for _ in range(DRAWN):
            yield study.ask(fixed_distributions=distributions)
    finally:
        optuna.logging.set_verbosity(level)


def _with_ends(space: Mapping[str, Any]) -> dict[str, Any]:
    """The space with both ends in the place of each range of numbers."""
    return {key: _ends(value) for key, value in space.items()}


def _ends(value: Any) -> Any:
    if isinstance(value, Mapping) and "grid_search" not in value:
        return _with_ends(value)
    if not isinstance(value, Integer | Float):
        return value
    ends = [value.lower, value.upper]
    if isinstance(value, Integer) and not isinstance(value.get_sampler(), Quantized):  # type: ignore[no-untyped-call]
        ends[1] -= 1  # which is the last that is drawn
    return {"grid_search": ends} if all(map(math.isfinite, ends)) else value
