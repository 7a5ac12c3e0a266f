"""Replays with fresh random examples beside the recorded ones."""

from __future__ import annotations

from typing import Any

import torch

from tune_select.selection.base import Subset
from tune_select.selection.replays.base import ReplayTransform, check_share
from tune_select.selection.weighting import draw_without, make_subset


class Mixed(ReplayTransform):
    """A share of fresh random examples in place of as many recorded ones.

    Examples kept from the record are a uniform draw from it. The weights are those of the mixture
    ``(1 - share) * record + share * all data``: over the fresh draws, the weighted mean gradient is
    the record's with weight ``1 - share`` and that of all the data with weight ``share``, with
    nothing counted twice. Per-batch subsets keep and gain whole batches.

    Args:
        random_share: rho, in [0, 1]; 1 is a fresh random subset.

    Raises:
        ValueError: ``random_share`` is outside [0, 1].
    """

    def __init__(self, *, random_share: float = 0.5) -> None:
        check_share("random_share", random_share)
        self.random_share = random_share

    def apply(
        self, subset: Subset, n: int, generator: torch.Generator, progress: float = 0.0
    ) -> Subset:
        """See the base class."""
        kept = _keep(subset, 1.0 - self.random_share, generator)
        fresh = len(subset) - len(kept)
        return _mix(kept, fresh, n, self.random_share, _batch_size(subset), generator)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"random_share": self.random_share}


class Growing(ReplayTransform):
    """Subsets that grow along the run, at the same cost when the two factors average 1.

    A subset smaller than recorded is a uniform draw from the record; a larger one keeps all of it
    and gains fresh random examples with the weights of ``Mixed``.

    Args:
        first: Size at the start of the run, relative to the recorded size.
        last: Size at its end.

    Raises:
        ValueError: A factor is not above 0.
    """

    def __init__(self, *, first: float = 0.5, last: float = 1.5) -> None:
        for name, value in (("first", first), ("last", last)):
            if not 0.0 < value < float("inf"):
                raise ValueError(f"{name} must be a finite number > 0, got {value}")
        self.first = first
        self.last = last

    def apply(
        self, subset: Subset, n: int, generator: torch.Generator, progress: float = 0.0
    ) -> Subset:
        """See the base class."""
        factor = self.first + (self.last - self.first) * progress
        size = min(n, max(1, round(factor * len(subset))))
        if size <= len(subset):
            return _keep(subset, size / len(subset), generator)
        fresh = size - len(subset)
        return _mix(subset, fresh, n, fresh / size, _batch_size(subset), generator)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"first": self.first, "last": self.last}


def _keep(subset: Subset, share: float, generator: torch.Generator) -> Subset:
    """A uniform draw from the subset, whole batches where it has any."""
    size = len(subset)
    if subset.batches is None:
        places = torch.randperm(size, generator=generator)[: round(share * size)].sort().values
    else:
        numbers = torch.unique(subset.batches)
        count = round(share * numbers.shape[0])
        some = numbers[torch.randperm(numbers.shape[0], generator=generator)[:count]]
        places = torch.isin(subset.batches, some).nonzero().squeeze(1)
    if places.shape[0] == size:
        return subset
    if places.shape[0] == 0:
        return Subset(places, torch.empty(0), None if subset.batches is None else places.int())
    batches = None if subset.batches is None else subset.batches[places]
    return make_subset(subset.indices[places], subset.weights[places], batches=batches)


def _mix(
    kept: Subset,
    fresh: int,
    n: int,
    share: float,
    batch_size: int | None,
    generator: torch.Generator,
) -> Subset:
    """Join ``fresh`` random examples to those kept, which also stand for themselves at random."""
    outside = n - len(kept)
    fresh = min(fresh, outside)
    if fresh == 0:
        return kept
    drawn = draw_without(n, kept.indices, fresh, generator)
    total = float(kept.weights.double().sum())
    own = (1.0 - share) * kept.weights.double() / total if len(kept) else kept.weights.double()
    share = share if len(kept) else 1.0
    weights = torch.cat(
        [own + share / n, torch.full((fresh,), share * outside / n / fresh, dtype=torch.float64)]
    )
    batches = None
    if kept.batches is not None and batch_size is not None:
        first = int(kept.batches.max()) + 1 if len(kept) else 0
        dealt = first + torch.arange(fresh) // batch_size
        batches = torch.cat([kept.batches, dealt.int()])
    return make_subset(torch.cat([kept.indices, drawn]), weights, batches=batches)


def _batch_size(subset: Subset) -> int | None:
    """Size of the largest batch, or ``None`` where there are none."""
    if subset.batches is None:
        return None
    return int(torch.bincount(subset.batches).max())
