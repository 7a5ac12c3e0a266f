"""What may differ between a sweep and the one that it goes on from, and what of the space does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.search.sample import Domain

from tune_select.mappings import flat, has_key, value_at
from tune_select.search.earlier import EarlierPoint, holds
from tune_select.search.space import Space
from tune_select.sweep.config import SweepConfig, SweepError

# What does not decide what a trial at a point computes. The space is looked at by itself.
_FREE = (
    "checkpoint",
    "cluster",
    "continues",
    "data.root",
    "evaluation",
    "modules",
    "name",
    "promote",
    "resources",
    "space",
    "storage_path",
    "sweep_id",
    "tracking",
    "tune.max_concurrent",
    "tune.max_failures",
    "tune.metric",  # of both, the resolved one is compared
    "tune.mode",
    "tune.num_samples",
    "tune.report_every_s",
    "tune.searcher",
    "tune.searcher_options",
    "tune.stop_when",
    "tune.stream",
    "tune.time_budget_s",
)


def check_same_trials(before: SweepConfig, now: SweepConfig, location: str) -> None:
    """Refuse to join trials that were not trained alike.

    Args:
        before: The finished sweep.
        now: The one that goes on from it.
        location: The finished sweep's results folder.

    Raises:
        SweepError: A key that decides what a trial computes differs; with both values.
    """
    old, new = _leaves(before), _leaves(now)
    differing = [
        f"{key} is {new.get(key)!r}, and was {old.get(key)!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not _is_free(key)
    ]
    if differing:
        raise SweepError(
            f"this sweep does not go on from {location}, whose trials would not compare with its "
            f"own: {'; '.join(differing[:5])}. Put these back, or run it by itself"
        )


def space_changes(
    before: Space, now: Space, base: Mapping[str, Any], points: Sequence[EarlierPoint]
) -> list[str]:
    """What of the space has changed so that earlier points lie outside it, a sentence per key.

    Args:
        before: The space that was searched.
        now: The one that is.
        base: A trial's configuration before the space is laid over it, today.
        points: What was trained.
    """
    if not now.params:  # define-by-run, or a list: which has no ranges to leave
        return []
    said = []
    for key in dict.fromkeys((*now.axes, *before.axes)):
        domain = value_at(now.params if key in now.axes else base, key)
        outside = sum(not holds(domain, point.config, key) for point in points)
        if not outside:
            continue
        was = value_at(before.params, key) if has_key(before.params, key) else None
        said.append(
            f"space.{key} was {_text(was)} and is now {_text(domain)}: {outside} of "
            f"{len(points)} earlier configurations lie outside. They stand in the report, but the "
            "searcher does not learn from them."
        )
    return said


def _text(domain: Any) -> str:
    """A domain as a sweep writes it."""
    if domain is None:
        return "not searched"
    if isinstance(domain, Mapping) and "grid_search" in domain:
        return str(list(domain["grid_search"]))
    if isinstance(domain, Domain):
        name = str(domain.get_sampler()).lower()  # type: ignore[no-untyped-call]
        return f"{name} {domain.domain_str}"
    return repr(domain)


def _leaves(config: SweepConfig) -> dict[str, Any]:
    leaves = flat(config.model_dump(mode="json"))
    return {key: value for key, value in leaves if value != {}}  # a table in which nothing stands


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE)
