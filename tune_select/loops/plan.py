"""What a loop's arm stands for, and which interval each of its epochs trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_args

from tune_select.history import Align
from tune_select.plain import check_whole, plain
from tune_select.selection import REPLAY_NAMES, SELECTOR_NAMES
from tune_select.wording import not_among

LoopKind = Literal["full", "seed", "cached", "selector"]
Weights = Literal["resample", "lookup", "ignore"]
FirstSubset = Literal["selected", "random"]
_FIXED_ARMS: Final = ("full", "seed", "cached")


@dataclass(frozen=True)
class LoopPlan:
    """How one loop chooses its examples.

    Attributes:
        arm: ``full``, ``seed``, ``cached``, a replay's name or a selector's.
        epochs: T, epochs that the loop trains.
        fraction: Subset size over training set size, in (0, 1].
        select_every: R, epochs between selections.
        warm_start_epochs: W, epochs on all the data before the first subset.
        align: How a replay's epochs map onto its seed's.
        algorithm: The seed's selector.
        settings: Constructor keywords of the selector or replay.
        weights: What becomes of a subset's weights, see ``SubsetSampler``.
        seed: The seed of everything random.
        first_subset: ``random`` instead of ``selected`` where no epoch comes before it.
        rungs: Fractions at which a seed publishes a subset beside its own.

    Raises:
        ValueError: Names the argument, its value and the remedy.
    """

    arm: str
    epochs: int
    fraction: float = 0.1
    select_every: int = 20
    warm_start_epochs: int = 0
    align: Align = "epoch"
    algorithm: str = "gradmatch"
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Weights = "resample"
    seed: int = 0
    first_subset: FirstSubset = "selected"
    rungs: Sequence[float] = ()

    def __post_init__(self) -> None:
        for each in fields(self):  # np.int64(5) is 5
            object.__setattr__(self, each.name, plain(getattr(self, each.name)))
        if not isinstance(self.arm, str):
            raise ValueError(f"arm must be a name, got {self.arm!r}")
        if self.kind == "selector":
            _check_selector("arm", self.arm)
        if self.kind == "seed":
            _check_selector("algorithm", self.algorithm)
        _one_of("weights", self.weights, get_args(Weights))
        _one_of("first_subset", self.first_subset, get_args(FirstSubset))
        _one_of("align", self.align, get_args(Align))
        check_whole("epochs", self.epochs, 1)
        check_whole("select_every", self.select_every, 1)
        check_whole("warm_start_epochs", self.warm_start_epochs, 0)
        check_whole("seed", self.seed, 0)
        number = isinstance(self.fraction, int | float) and not isinstance(self.fraction, bool)
        if not number or not 0 < self.fraction <= 1:
            raise ValueError(f"fraction must be in (0, 1], got {self.fraction!r}")
        for rung in self.rungs:
            if not isinstance(rung, int | float) or not 0 < rung <= 1:
                raise ValueError(f"rungs must be fractions in (0, 1], got {rung!r}")
        left = self.epochs - self.warm_start_epochs
        if self.kind in ("seed", "selector") and left < 1:
            raise ValueError(
                f"warm_start_epochs={self.warm_start_epochs} leaves no epoch of {self.epochs} for "
                "a subset: lower it, or train for more epochs"
            )

    @property
    def kind(self) -> LoopKind:
        """What the arm does with the data."""
        if self.arm in ("full", "seed"):
            return self.arm  # type: ignore[return-value]
        return "cached" if self.arm in REPLAY_NAMES or self.arm == "cached" else "selector"

    @property
    def selector(self) -> str:
        """Name or import string of the selector; the replay's name for a replay."""
        return self.algorithm if self.kind == "seed" else self.arm

    def number_at(self, epoch: int) -> int | None:
        """The interval that ``epoch``, from 0, trains on; ``None`` for all the data."""
        if self.kind == "full" or epoch < self.warm_start_epochs:
            return None
        return (epoch - self.warm_start_epochs) // self.select_every

    @property
    def fractions(self) -> tuple[float, ...]:
        """All fractions at which a seed publishes, ascending, its own among them."""
        return tuple(sorted({self.fraction, *self.rungs}))

    @property
    def interval_count(self) -> int:
        """How many subsets the loop trains on."""
        last = self.number_at(self.epochs - 1)
        return 0 if last is None else last + 1

    def bounds(self, number: int) -> tuple[int, int]:
        """Epochs [start, end) of interval ``number``."""
        start = self.warm_start_epochs + number * self.select_every
        return start, min(start + self.select_every, self.epochs)

    def budget(self, size: int, fraction: float | None = None) -> int:
        """Examples of a subset.

        Args:
            size: The size of the training set.
            fraction: The fraction of it; the plan's own by default.
        """
        return max(1, round((self.fraction if fraction is None else fraction) * size))


def _check_selector(name: str, value: str) -> None:
    from tune_select.selection import minibatch

    if minibatch.is_selector_name(value):
        raise ValueError(
            f"{name}={value!r} chooses within each mini-batch, after the loop has drawn it, which "
            "a sampler cannot: use a trainable of trainables, or a selector of whole subsets"
        )
    if value in SELECTOR_NAMES or "." in value or ":" in value:
        return
    known = list(SELECTOR_NAMES)
    if name == "arm":
        known = list(dict.fromkeys([*_FIXED_ARMS, *REPLAY_NAMES, *known]))
    raise ValueError(not_among(name, value, known, " or an import string"))


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(not_among(name, value, known))
