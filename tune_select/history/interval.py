"""One interval of a history: the subset that some epochs train on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tune_select.history.identity import HistoryIdentity

_MEAN_TOLERANCE = 1e-3
"""Means of weights in single precision are off by 1e-7; a thousandth changes no training."""


@dataclass(frozen=True, eq=False)
class Interval:
    """The subset that epochs [start, end) train on.

    Arrays are taken without a copy where their types fit, and shown read-only.

    Attributes:
        number: Position in the history, from 0.
        start: First epoch.
        end: One past the last epoch.
        indices: int64 (k,), distinct positions in the training set.
        weights: float32 (k,), finite, non-negative, mean 1.
        batches: int32 (k,) batch of each example for per-batch selectors, else ``None``.
        gradient_error: The subset's relative gradient error, where one was measured.
        random_gradient_error: The same of a random subset of that size.
        select_s: Seconds that the selection took.
        filled: How many of the k were drawn at random because the solver stopped early.
        rungs: The same selection's subsets at the fractions of ``HistoryIdentity.rungs``, each an
            interval of these epochs without rungs of its own.
    """

    number: int
    start: int
    end: int
    indices: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    batches: npt.NDArray[np.int32] | None = None
    gradient_error: float | None = None
    random_gradient_error: float | None = None
    select_s: float = 0.0
    filled: int = 0
    rungs: Mapping[float, Interval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", _read_only(self.indices, np.int64))
        object.__setattr__(self, "weights", _read_only(self.weights, np.float32))
        if self.batches is not None:
            object.__setattr__(self, "batches", _read_only(self.batches, np.int32))

    def __len__(self) -> int:
        return int(self.indices.shape[0])

    def gradient_errors(self) -> dict[str, float]:
        """Its gradient error and a random subset's, as far as they were measured."""
        named = {
            "gradient_error": self.gradient_error,
            "random_gradient_error": self.random_gradient_error,
        }
        return {name: error for name, error in named.items() if error is not None}

    def alone(self, rung: float | None = None) -> Interval:
        """One subset without the others: the seed's own, or that of one of the rungs."""
        return replace(self, rungs={}) if rung is None else self.rungs[rung]

    def same_content(self, other: Interval) -> bool:
        """Whether both name the same epochs, examples, weights and batches, bit for bit.

        That is asked of all rungs. What was measured on the way (seconds, errors) may differ: a
        resumed seed selects again.
        """
        if (self.number, self.start, self.end) != (other.number, other.start, other.end):
            return False
        return (
            all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("indices", "weights", "batches")
            )
            and self.rungs.keys() == other.rungs.keys()
            and all(own.same_content(other.rungs[rung]) for rung, own in self.rungs.items())
        )

    def check(self, identity: HistoryIdentity) -> None:
        """Refuse an interval that cannot belong to the history, or lacks one of its rungs.

        Raises:
            ValueError: Epochs, shapes, indices or weights are not what ``identity`` and the
                contract of a subset say.
        """
        self.check_alone(identity, None)
        if tuple(sorted(self.rungs)) != identity.rungs:
            raise ValueError(
                f"interval {self.number} has subsets at the rungs {sorted(self.rungs)}, but its "
                f"history has {list(identity.rungs)}"
            )
        for rung, subset in self.rungs.items():
            if subset.number != self.number or subset.rungs:
                raise ValueError(f"interval {self.number} holds another interval at rung {rung:g}")
            if (subset.batches is None) != (self.batches is None):
                raise ValueError(f"interval {self.number} holds whole batches at some rungs only")
            subset.check_alone(identity, rung)

    def check_alone(self, identity: HistoryIdentity, rung: float | None) -> None:
        """Refuse one subset that cannot belong to the history.

        Args:
            identity: The identity of the history.
            rung: The rung whose subset this is; ``None`` for the seed's own.

        Raises:
            ValueError: As ``check``.
        """
        where = f"interval {self.number}" + ("" if rung is None else f" at fraction {rung:g}")
        if not 0 <= self.number < identity.interval_count:
            raise ValueError(f"{where} is not one of the history's {identity.interval_count}")
        if (self.start, self.end) != identity.bounds(self.number):
            raise ValueError(
                f"{where} must cover epochs {identity.bounds(self.number)}, got "
                f"{(self.start, self.end)}"
            )
        self._check_arrays(identity, identity.fraction if rung is None else rung, where)
        self._check_measured(where)

    def _check_arrays(self, identity: HistoryIdentity, fraction: float, where: str) -> None:
        shapes = {a.shape for a in (self.indices, self.weights, self.batches) if a is not None}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or len(self) == 0:
            raise ValueError(f"{where} needs arrays of one shape (k,) with k > 0, got {shapes}")
        check_size(len(self), identity.dataset.size, fraction, where)
        if int(self.indices.min()) < 0 or int(self.indices.max()) >= identity.dataset.size:
            raise ValueError(
                f"{where} names examples {self.indices.min()} to {self.indices.max()}, but the "
                f"training set {identity.dataset.name} has {identity.dataset.size}"
            )
        if np.unique(self.indices).size != len(self):
            raise ValueError(f"{where} names an example twice")
        if not bool(np.isfinite(self.weights).all()) or float(self.weights.min()) < 0:
            raise ValueError(f"{where} has a weight that is negative or not finite")
        mean = float(self.weights.mean(dtype=np.float64))
        if abs(mean - 1.0) > _MEAN_TOLERANCE:
            raise ValueError(
                f"{where} has weights of mean {mean:g}, which must be 1: divide them by their mean"
            )
        if self.batches is not None and int(self.batches.min()) < 0:
            raise ValueError(f"{where} has the batch number {self.batches.min()}, below 0")

    def _check_measured(self, where: str) -> None:
        if not 0 <= self.filled <= len(self):
            raise ValueError(f"{where} has filled={self.filled} of {len(self)} examples")
        for name in ("gradient_error", "random_gradient_error", "select_s"):
            value = getattr(self, name)
            # An error that is not finite is a measurement that failed: the manifest leaves it out.
            if value is not None and value < 0:
                raise ValueError(f"{where} has {name}={value}, which cannot be below 0")


def check_size(size: int, examples: int, fraction: float, where: str) -> None:
    """Refuse a subset whose size is not the fraction's.

    A tenth more or less is let pass: selectors of one's own may round in another way.

    Args:
        size: The size of the subset.
        examples: The examples of the training set.
        fraction: The fraction of them that the subset should hold.
        where: The interval, for errors.

    Raises:
        ValueError: It is further off, or larger than the training set.
    """
    wanted = fraction * examples
    if abs(size - wanted) > max(1.0, 0.1 * wanted) or size > examples:
        raise ValueError(
            f"{where} has {size} examples, but fraction {fraction:g} of {examples} are about "
            f"{max(1, round(wanted))}"
        )


def _read_only(array: Any, dtype: type[Any]) -> npt.NDArray[Any]:
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view
