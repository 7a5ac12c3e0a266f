"""Points that an earlier search has trained: never drawn again, and told to the searcher."""

from __future__ import annotations

import inspect
import json
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from ray.tune.search import Searcher
from ray.tune.search.sample import Domain, Integer, Quantized
from ray.tune.utils import flatten_dict

from tune_select.arms import RESOLVED_ARM, point_of
from tune_select.mappings import has_key, value_at

_OF_THE_TRIAL = ("arm", "seed", "history", "configuration", RESOLVED_ARM)
# Where the data lie and when they are looked at may differ between two searches of one space.
_NOT_SEARCHED = (*_OF_THE_TRIAL, "data", "evaluation")


@dataclass(frozen=True)
class EarlierPoint:
    """A point that has been trained.

    Attributes:
        config: Its configuration, without an arm.
        number: Its number in the joint results.
        value: The searched metric, the mean over its training seeds; ``None`` where no trial of the
            primary arm left one.
    """

    config: Mapping[str, Any]
    number: int
    value: float | None


@dataclass(frozen=True)
class Earlier:
    """What a search goes on from. Plain data: it is pickled with the search's state.

    Attributes:
        points: What has been trained.
        more: How many further points are drawn.
        histories: Names of the histories that are complete: their seed trials are not run again.
    """

    points: tuple[EarlierPoint, ...]
    more: int
    histories: frozenset[str] = frozenset()

    @cached_property
    def _by_key(self) -> dict[str, EarlierPoint]:
        return {point_key(point.config): point for point in self.points}

    def find(self, config: Mapping[str, Any]) -> EarlierPoint | None:
        """The point with a configuration's values; ``None`` for a new one."""
        return self._by_key.get(point_key(config))

    @property
    def numbers_from(self) -> int:
        """The first number that no point has."""
        return max((point.number for point in self.points), default=-1) + 1


def point_key(config: Mapping[str, Any]) -> str:
    """A text that two configurations share if they are the same point of the space.

    Integers and floats of one value are one: tables and YAML turn the one into the other.
    """
    kept = {key: value for key, value in point_of(config).items() if key not in _NOT_SEARCHED}
    return json.dumps(_plain(kept), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def can_be_told(searcher: Any) -> bool:
    """Whether a searcher learns of points that it did not propose, or proposes regardless."""
    if getattr(searcher, "foresees", False):
        return True
    told = inspect.getattr_static(type(searcher), "add_evaluated_point", None)
    return told is not None and told is not inspect.getattr_static(Searcher, "add_evaluated_point")


def tell(searcher: Searcher, domains: Mapping[str, Any], points: Iterable[EarlierPoint]) -> int:
    """Let a searcher learn from points that an earlier search has trained.

    Args:
        searcher: The searcher with its space and metric set.
        domains: What is searched, nested; empty where the searcher has a space of its own.
        points: Those outside the space, and those without a value, are passed over.

    Returns:
        How many it was told of.
    """
    if getattr(searcher, "foresees", False):
        return 0
    flat = flatten_dict(dict(domains))
    told = 0
    for point in points:
        if point.value is None or not math.isfinite(point.value):
            continue
        if flat:
            if not inside(point.config, flat):
                continue
            values = {key: value_at(point.config, key.replace("/", ".")) for key in flat}
            searcher.add_evaluated_point(values, point.value)
        elif not _tell_by_running(searcher, point):
            continue
        told += 1
    return told


def inside(config: Mapping[str, Any], domains: Mapping[str, Any]) -> bool:
    """Whether a configuration lies in a space.

    Args:
        config: The configuration of a trial.
        domains: Domains and grids by key, flat with ``/`` or ``.``.
    """
    return all(holds(domain, config, key.replace("/", ".")) for key, domain in domains.items())


def holds(domain: Any, config: Mapping[str, Any], key: str) -> bool:
    """Whether a domain holds a configuration's value of a key.

    Args:
        domain: One of Tune's, a grid, or the one value that a constant has.
        config: The configuration of a trial, nested.
        key: Dotted.
    """
    if not has_key(config, key):
        return False
    value = value_at(config, key)
    if isinstance(domain, Mapping) and "grid_search" in domain:
        return value in domain["grid_search"]
    if not isinstance(domain, Domain):
        return bool(value == domain)
    try:
        # Without steps, the upper end of integers is not drawn, though Ray calls it valid.
        steps: Any = domain.get_sampler()  # type: ignore[no-untyped-call]
        if isinstance(domain, Integer) and not isinstance(steps, Quantized):
            return bool(domain.lower <= value < domain.upper)
        return bool(domain.is_valid(value))
    except (TypeError, NotImplementedError):  # a text in a range; a domain that cannot tell
        return False


def _tell_by_running(searcher: Any, point: EarlierPoint) -> bool:
    """Tell Optuna of a point of a define-by-run space, whose distributions only a run can name."""
    space, study = getattr(searcher, "_space", None), getattr(searcher, "_ot_study", None)
    if not callable(space) or study is None:
        return False
    fixed = optuna.trial.FixedTrial(flatten_dict(dict(point.config), delimiter="/"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a value out of range, which the next line refuses
            space(fixed)
        study.add_trial(
            optuna.trial.create_trial(
                params=fixed.params, distributions=fixed.distributions, value=point.value
            )
        )
    except (ValueError, KeyError):  # the space suggests what the point lacks, or another range
        return False
    return True
