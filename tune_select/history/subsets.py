"""Between a history's intervals, NumPy arrays that may not be written, and selectors' tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tune_select.history.interval import Interval
from tune_select.selection import Subset


def subset_of(interval: Interval) -> Subset:
    """An interval as tensors of its own: histories hand out read-only arrays that trials share."""
    return Subset(
        torch.tensor(interval.indices),
        torch.tensor(interval.weights),
        None if interval.batches is None else torch.tensor(interval.batches),
    )


def interval_of(
    subset: Subset,
    number: int,
    bounds: tuple[int, int],
    *,
    gradient_error: float | None = None,
    random_gradient_error: float | None = None,
    select_s: float = 0.0,
    rungs: Mapping[float, Interval] | None = None,
) -> Interval:
    """A subset as the interval that some epochs train on.

    Args:
        subset: What was selected; tensors on the CPU, whose memory the interval shares.
        number: The number of the interval, from 0.
        bounds: Its epochs [start, end).
        gradient_error: The subset's relative gradient error, where one was measured.
        random_gradient_error: The same of a random subset of that size.
        select_s: Seconds that the selection took.
        rungs: The same selection's subsets at other fractions.
    """
    start, end = bounds
    return Interval(
        number, start, end,
        indices=subset.indices.numpy(), weights=subset.weights.numpy(),
        batches=None if subset.batches is None else subset.batches.numpy(),
        gradient_error=gradient_error, random_gradient_error=random_gradient_error,
        select_s=select_s, filled=subset.filled, rungs=rungs or {},
    )  # fmt: skip


_SCALARS = (
    "number", "start", "end", "gradient_error", "random_gradient_error", "select_s", "filled",
)  # fmt: skip


def interval_state(interval: Interval) -> dict[str, Any]:
    """An interval without its rungs, in plain values and tensors of its own: for checkpoints."""
    arrays = {name: getattr(interval, name) for name in ("indices", "weights", "batches")}
    tensors = {name: None if a is None else torch.tensor(a) for name, a in arrays.items()}
    return {**{name: getattr(interval, name) for name in _SCALARS}, **tensors}


def interval_from_state(state: Mapping[str, Any]) -> Interval:
    """The interval of a state, also of an older one that holds fewer of its values."""
    plain: dict[str, Any] = {
        key: held.numpy() if isinstance(held, Tensor) else held for key, held in state.items()
    }
    return Interval(**plain)
