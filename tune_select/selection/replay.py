"""What a replay may make of a recorded subset before it trains on it.

Replaying a subset as it is repeats its errors in every trial. Each transform here trades some of
the selection for less of that; ``replay_named`` builds them from settings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tune_select.selection.base import Subset
from tune_select.selection.weighting import capped_shares, draw_without, make_subset


class ReplayTransform(ABC):
    """Turns a recorded subset into the one to train on; immutable, random by generator alone."""

    @abstractmethod
    def apply(
        self,
        subset: Subset,
        n: int,
        labels: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> Subset:
        """Transform the subset of one interval.

        Args:
            subset: As recorded.
            n: Number of training examples.
            labels: int64 (n,), what examples are grouped by.
            generator: A CPU generator. Seeded alike in every trial, it keeps the trials on common
                examples, which makes comparing them less noisy.
            progress: Share of the run that lies before this interval, in [0, 1).

        Returns:
            A subset with weights of mean 1.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values."""

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({arguments})"


class Tempered(ReplayTransform):
    """Weights to the power ``exponent``: 1 as recorded, 0 all equal.

    Raises:
        ValueError: ``exponent`` is outside [0, 1].
    """

    def __init__(self, *, exponent: float = 0.5) -> None:
        _check_share("exponent", exponent)
        self.exponent = exponent

    def apply(
        self,
        subset: Subset,
        n: int,
        labels: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> Subset:
        """See the base class."""
        return make_subset(
            subset.indices, subset.weights.double() ** self.exponent, batches=subset.batches
        )

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"exponent": self.exponent}


class Clipped(ReplayTransform):
    """No weight above ``largest`` times the mean weight; what is cut off is shared by the others.

    Raises:
        ValueError: ``largest`` is below 1.
    """

    def __init__(self, *, largest: float = 3.0) -> None:
        if not 1.0 <= largest < float("inf"):
            raise ValueError(f"largest must be a finite number >= 1, got {largest}")
        self.largest = largest

    def apply(
        self,
        subset: Subset,
        n: int,
        labels: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> Subset:
        """See the base class."""
        weights = subset.weights.double()
        weights = capped_shares(weights, len(subset), self.largest)
        return make_subset(subset.indices, weights, batches=subset.batches)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"largest": self.largest}


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
        _check_share("random_share", random_share)
        self.random_share = random_share

    def apply(
        self,
        subset: Subset,
        n: int,
        labels: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
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
        self,
        subset: Subset,
        n: int,
        labels: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
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


class Chain(ReplayTransform):
    """One transform after the other."""

    def __init__(self, *transforms: ReplayTransform) -> None:
        self.transforms = transforms

    def apply(
        self,
        subset: Subset,
        n: int,
        labels: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> Subset:
        """See the base class."""
        for transform in self.transforms:
            subset = transform.apply(subset, n, labels, generator, progress)
        return subset

    def settings(self) -> dict[str, Any]:
        """See the base class; settings of the members side by side."""
        return {
            name: value
            for transform in self.transforms
            for name, value in transform.settings().items()
        }


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


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def _chain(
    *,
    random_share: float = 0.0,
    exponent: float = 1.0,
    largest: float | None = None,
    first: float = 1.0,
    last: float = 1.0,
) -> ReplayTransform:
    transforms: list[ReplayTransform] = []
    if exponent != 1.0:
        transforms.append(Tempered(exponent=exponent))
    if largest is not None:
        transforms.append(Clipped(largest=largest))
    if (first, last) != (1.0, 1.0):
        transforms.append(Growing(first=first, last=last))
    if random_share != 0.0:
        transforms.append(Mixed(random_share=random_share))
    return transforms[0] if len(transforms) == 1 else Chain(*transforms)


_DEFAULTS: dict[str, dict[str, float]] = {
    "cached": {},
    "cached_mixed": {"random_share": 0.5},
    "cached_tempered": {"exponent": 0.5},
    "cached_clipped": {"largest": 3.0},
    "cached_growing": {"first": 0.5, "last": 1.5},
}

REPLAY_NAMES: tuple[str, ...] = tuple(_DEFAULTS)
"""Names that ``replay_named`` knows."""


def replay_named(name: str, **settings: Any) -> ReplayTransform:
    """Build a replay's transform from its name and settings.

    Every name takes all settings (``random_share``, ``exponent``, ``largest``, ``first``,
    ``last``); they differ in the defaults. Weights are tempered and clipped first, then the subset
    grows, then it is mixed.

    Raises:
        ValueError: The name or a setting is unknown, or a setting is outside its range.
    """
    if name not in _DEFAULTS:
        raise ValueError(f"replay must be one of {', '.join(REPLAY_NAMES)}, got {name!r}")
    build: Callable[..., ReplayTransform] = _chain
    try:
        return build(**{**_DEFAULTS[name], **settings})
    except TypeError as error:
        raise ValueError(f"settings of replay {name!r} do not fit: {error}") from error
