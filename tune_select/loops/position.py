"""Where a loop is: which epoch is drawn and how much of it, exact in mid-epoch too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Position:
    """Counts what is drawn, and finds its place again.

    Attributes:
        epoch: The epoch that is drawn, or was drawn last, from 0; -1 before the first.
        length: How many examples it draws; ``None`` before the first.
    """

    def __init__(self) -> None:
        self.epoch = -1
        self.length: int | None = None
        self._next: int | None = None  # the epoch to draw next, where that is not the following one
        self._skip = 0  # how many of its examples were drawn before
        self._drawn = 0
        self._seen = 0  # over all epochs
        self._begun = 0  # how many of the epoch were drawn before it was resumed
        self._trained: int | None = None  # counted where the loader is ours

    @property
    def upcoming(self) -> int:
        """The epoch that the next iteration draws."""
        return self.epoch + 1 if self._next is None else self._next

    @property
    def is_within(self) -> bool:
        """Whether an epoch is begun and not all drawn."""
        return self.length is not None and self._drawn < self.length

    @property
    def seen(self) -> int:
        """Examples drawn so far, over all epochs."""
        return self._seen

    def begin(self, length: int) -> int:
        """Begin the upcoming epoch, of ``length`` examples; returns how many of them to skip."""
        self.epoch, self.length = self.upcoming, length
        self._drawn = self._begun = self._skip
        self._next, self._skip, self._trained = None, 0, None
        return self._drawn

    def begin_next_at(self, epoch: int) -> None:
        """Let the next iteration draw ``epoch``, whole, where it would not draw it anyway."""
        if epoch != self.upcoming:
            self._next, self._skip = epoch, 0

    def count_drawn(self, epoch: int) -> None:
        """Count an example of ``epoch``, unless its iteration was left for another epoch's."""
        if epoch == self.epoch:
            self._drawn += 1
            self._seen += 1

    def count_trained(self, count: int | None) -> None:
        """Count a batch that the loop was given; ``None``: its epoch has ended, all is drawn."""
        if count is None:
            self._trained = None
        else:
            self._trained = (self._begun if self._trained is None else self._trained) + count

    def state(self) -> dict[str, Any]:
        """Plain values, for ``load``; what workers have read ahead counts as not drawn."""
        drawn = self._drawn if self._trained is None else self._trained
        return {
            "epoch": self.epoch,
            "drawn": drawn,
            "length": self.length,
            "next": self._next,
            "seen": self._seen - (self._drawn - drawn),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken: the next iteration draws what was left of its epoch."""
        self.epoch, self._next = state["epoch"], state["next"]
        self._drawn, self.length = state["drawn"], state["length"]
        self._seen, self._skip, self._trained = state["seen"], 0, None
        if self.is_within:
            self._next, self._skip = self.epoch, self._drawn
