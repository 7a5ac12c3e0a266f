"""What a history is of, how its intervals lie, and which trials it fits."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tune_select.history.errors import HistoryEndedError, HistoryMismatchError

Align = Literal["epoch", "progress"]

_MOVABLE_KEYS = {"history", "device", "amp", "data"}  # may differ between a seed's runs


@dataclass(frozen=True)
class DatasetIdentity:
    """What tells one training set from another.

    Attributes:
        name: A name for people.
        size: Number n of training examples that indices count in.
        fingerprint: A digest of the examples and their order.
    """

    name: str
    size: int
    fingerprint: str

    @classmethod
    def of(
        cls, dataset: Any, *, name: str | None = None, fingerprint: str | None = None
    ) -> DatasetIdentity:
        """The identity of any map-style dataset.

        Args:
            dataset: Has ``__len__`` and ``__getitem__``.
            name: A name for people; the type's by default.
            fingerprint: A digest of your own; by default one of the length and of 64 items spread
                evenly over the dataset (see ``history.fingerprint``), which another order, another
                split and other values in one of those items change, and an edit in between may not.

        Raises:
            ValueError: The dataset has no length, is empty, or its items are not repeatable.
        """
        from tune_select.history.fingerprint import fingerprint_of, length_of

        size = length_of(dataset)
        return cls(
            name or type(dataset).__name__,
            size,
            fingerprint_of(dataset) if fingerprint is None else str(fingerprint),
        )


@dataclass(frozen=True)
class HistoryIdentity:
    """What a history is of, and how its intervals lie.

    Interval i covers epochs [W + iR, min(W + (i + 1)R, T)); epochs count from 0.

    Attributes:
        dataset: The training set whose examples the indices name.
        fraction: Subset size over training set size, in (0, 1].
        select_every: R, epochs between selections.
        max_epochs: T, epochs that the seed trains.
        algorithm: The seed's selector by name.
        settings: The selector's settings, JSON-able.
        seed_config: The seed trial's configuration.
        warm_start_epochs: W, epochs on all the data before the first subset.
        rungs: Further fractions, ascending, at which every interval holds a subset as well: those
            of a ladder, all from one selection. The seed itself trains at ``fraction``.

    Raises:
        ValueError: A number is out of its range.
    """

    dataset: DatasetIdentity
    fraction: float
    select_every: int
    max_epochs: int
    algorithm: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed_config: Mapping[str, Any] = field(default_factory=dict)
    warm_start_epochs: int = 0
    rungs: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction must be in (0, 1], got {self.fraction}")
        rungs = tuple(float(rung) for rung in self.rungs)
        if list(rungs) != sorted({*rungs} - {self.fraction}) or not all(0 < r <= 1 for r in rungs):
            raise ValueError(
                f"rungs must be fractions in (0, 1] that grow and differ from fraction "
                f"({self.fraction}), got {list(rungs)}"
            )
        object.__setattr__(self, "rungs", rungs)
        if self.warm_start_epochs < 0:
            raise ValueError(f"warm_start_epochs must be at least 0, got {self.warm_start_epochs}")
        if self.select_every < 1:
            raise ValueError(f"select_every must be at least 1 epoch, got {self.select_every}")
        if self.max_epochs <= self.warm_start_epochs:
            raise ValueError(
                f"max_epochs must exceed warm_start_epochs, or there is no interval to select for: "
                f"got {self.max_epochs} and {self.warm_start_epochs}"
            )
        # Through JSON once, so that an identity equals itself read back from a manifest.
        object.__setattr__(self, "settings", _plain(self.settings))
        object.__setattr__(self, "seed_config", _plain(self.seed_config))

    @property
    def fractions(self) -> tuple[float, ...]:
        """All fractions at which an interval holds a subset, ascending."""
        return tuple(sorted((self.fraction, *self.rungs)))

    def rung_of(self, fraction: float | None) -> float | None:
        """Under which of the rungs a fraction's subsets lie; ``None`` for the seed's own.

        Args:
            fraction: One of ``fractions``; ``None`` stands for the seed's.

        Raises:
            HistoryMismatchError: There are no subsets at it.
        """
        if fraction is None or fraction == self.fraction:
            return None
        if fraction not in self.rungs:
            raise HistoryMismatchError(
                f"the history has no subsets at fraction {fraction:g}, only at {self._held()}"
            )
        return fraction

    def _held(self) -> str:
        return ", ".join(f"{fraction:g}" for fraction in self.fractions)

    @property
    def interval_count(self) -> int:
        """How many intervals the complete history has."""
        return math.ceil((self.max_epochs - self.warm_start_epochs) / self.select_every)

    def bounds(self, number: int) -> tuple[int, int]:
        """Epochs [start, end) of interval ``number``."""
        start = self.warm_start_epochs + number * self.select_every
        return start, min(start + self.select_every, self.max_epochs)

    def interval_at(
        self, epoch: int, *, align: Align = "epoch", max_epochs: int | None = None
    ) -> int | None:
        """Number of the interval to train on in ``epoch``; ``None`` in the warm start.

        Args:
            epoch: The replaying trial's epoch, from 0.
            align: ``"epoch"`` takes the seed's same epoch; ``"progress"`` the epoch at the same
                share of training, floor(epoch T / ``max_epochs``).
            max_epochs: Epochs that the replaying trial trains; needed by ``"progress"``.

        Raises:
            HistoryEndedError: The epoch lies beyond the seed's last.
            ValueError: ``align`` is ``"progress"`` without ``max_epochs``, or unknown.
        """
        if align == "progress":
            if max_epochs is None:
                raise ValueError("align='progress' needs max_epochs, the replaying trial's epochs")
            epoch = epoch * self.max_epochs // max_epochs
        elif align != "epoch":
            raise ValueError(f"align must be 'epoch' or 'progress', got {align!r}")
        if epoch >= self.max_epochs:
            raise HistoryEndedError(
                f"the history covers {self.max_epochs} epochs and has nothing for epoch {epoch} "
                "(counted from 0): train for at most as many epochs as the seed, or set "
                "align: progress"
            )
        if epoch < self.warm_start_epochs:
            return None
        return (epoch - self.warm_start_epochs) // self.select_every

    def differences(self, other: HistoryIdentity) -> list[str]:
        """How another seed's identity differs, one phrase each; empty when they are of one seed.

        What may change when a sweep moves or is resumed elsewhere (where data and history lie, on
        which device the seed runs) is left out; the dataset's fingerprint stands for the data.
        """
        names = ("fraction", "rungs", "select_every", "max_epochs", "warm_start_epochs")
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        pairs["algorithm"] = (self.algorithm, other.algorithm)
        pairs["settings"] = (self.settings, other.settings)
        pairs["dataset size"] = (self.dataset.size, other.dataset.size)
        pairs["dataset fingerprint"] = (self.dataset.fingerprint, other.dataset.fingerprint)
        for key in sorted({*self.seed_config, *other.seed_config} - _MOVABLE_KEYS):
            pairs[f"seed_config[{key!r}]"] = (self.seed_config.get(key), other.seed_config.get(key))
        return [
            f"{name}: {mine!r} != {theirs!r}"
            for name, (mine, theirs) in pairs.items()
            if mine != theirs
        ]

    def check_fits(
        self,
        dataset: DatasetIdentity,
        *,
        max_epochs: int | None = None,
        select_every: int | None = None,
        fraction: float | None = None,
        warm_start_epochs: int | None = None,
        align: Align = "epoch",
    ) -> None:
        """Refuse a trial that this history does not fit; ``None`` leaves a number unchecked.

        Args:
            dataset: The trial's training set; size and fingerprint must be the history's.
            max_epochs: Epochs the trial trains; with ``align="epoch"`` at most the history's.
            select_every: The trial's interval R.
            fraction: The trial's fraction, which must be one of the history's.
            warm_start_epochs: The trial's warm start W.
            align: How the trial's epochs map onto the history's. With ``"progress"`` the schedule
                is the history's, stretched: the trial's own interval and warm start do not count.

        Raises:
            HistoryMismatchError: Names every number that differs, on both sides.
        """
        wrong = []
        if dataset.size != self.dataset.size:
            wrong.append(f"dataset size: trial {dataset.size}, history {self.dataset.size}")
        if dataset.fingerprint != self.dataset.fingerprint:
            wrong.append(
                f"dataset fingerprint: trial {dataset.fingerprint} ({dataset.name}), history "
                f"{self.dataset.fingerprint} ({self.dataset.name})"
            )
        by_epoch = align == "epoch"
        for name, ours in (
            ("select_every", select_every if by_epoch else None),
            ("warm_start_epochs", warm_start_epochs if by_epoch else None),
        ):
            if ours is not None and ours != getattr(self, name):
                wrong.append(f"{name}: trial {ours}, history {getattr(self, name)}")
        if fraction is not None and fraction not in self.fractions:
            wrong.append(f"fraction: trial {fraction:g}, history {self._held()}")
        if max_epochs is not None and by_epoch and max_epochs > self.max_epochs:
            wrong.append(
                f"max_epochs: trial {max_epochs}, history {self.max_epochs} (train shorter, or set "
                "align: progress)"
            )
        if wrong:
            raise HistoryMismatchError("the history does not fit this trial: " + "; ".join(wrong))


def _plain(value: Any) -> Any:
    """The value as JSON would give it back; what JSON cannot hold becomes its type's name."""

    def other(item: Any) -> Any:
        if isinstance(item, np.generic):
            return item.item()
        if isinstance(item, np.ndarray):
            return item.tolist()
        if isinstance(item, Mapping):
            return dict(item)
        if isinstance(item, os.PathLike):
            return os.fspath(item)
        kind = item if isinstance(item, type) else type(item)
        return f"{kind.__module__}.{kind.__qualname__}"

    return json.loads(json.dumps(value, default=other))
