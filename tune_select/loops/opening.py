"""From an arm to where its subsets come from: nowhere, a selector, or a history."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tune_select.history import DatasetIdentity, open_history
from tune_select.loops.passes import Passes
from tune_select.loops.plan import LoopPlan
from tune_select.loops.subsets import (
    Everything,
    Identifying,
    Replayed,
    Seconds,
    Selected,
    Subsets,
)


def open_subsets(
    plan: LoopPlan,
    seconds: Seconds,
    passes: Passes,
    history: Any,
    *,
    fingerprint: str | None,
    wait_s: float,
    config: Mapping[str, Any],
) -> Subsets:
    """Where the subsets of a plan's arm come from.

    Args:
        plan: What the loop trains on when.
        seconds: Where selecting and waiting are booked.
        passes: The forward passes of a selection.
        history: Where a seed publishes and replays read; a location, or a sweep's by seed.
        fingerprint: Tells the dataset from others; computed from its items where it is ``None``.
        wait_s: How long a replay waits for an interval.
        config: The trial's configuration, recorded in a seed's history.

    Raises:
        ValueError: The arm needs a history, and none is named, or a seed cannot write there.
        HistoryMismatchError: The history is of another dataset or does not fit the epochs.
        HistoryConflictError: The folder holds another seed's history.
    """
    if plan.kind == "full":
        return Everything(plan, seconds)
    if plan.kind == "selector":
        return Selected(plan, seconds, passes)
    location = _location(plan, history, config)
    access = open_history(location)
    if plan.kind == "seed":
        _check_writable(location)
    dataset = DatasetIdentity.of(passes.dataset, fingerprint=fingerprint)
    if plan.kind == "cached":
        return Replayed(plan, seconds, access, dataset, wait_s)
    return Selected(plan, seconds, passes, access, Identifying(dataset, plan, config))


def _location(plan: LoopPlan, history: Any, config: Mapping[str, Any]) -> Any:
    if isinstance(history, Mapping) and "root" in history:  # as a sweep of several seeds has it
        from tune_select.history.location import history_location

        history = history_location({**config, "history": history})
    if history is None:
        raise ValueError(
            f"arm {plan.arm!r} needs history=: the folder or store that the seed publishes to "
            "and replays read"
        )
    return history


def _check_writable(location: Any) -> None:
    """Find now what a seed would meet only once its first subset is selected."""
    if isinstance(location, Mapping) or "://" in os.fspath(location):  # not this process's to write
        return
    from tune_select.storage import why_unwritable  # Arrow, only where there is a history

    why = why_unwritable(location)
    if why:
        raise ValueError(
            f"history is {os.fspath(location)}, where the seed cannot publish ({why}): name a "
            "folder that can be written"
        )
