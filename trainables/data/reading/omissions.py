"""What a loader left out of a data set, for people: how many, why, and the first few by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_SHOWN = 5


@dataclass(frozen=True)
class Omission:
    """Things left out for one reason.

    Attributes:
        reason: What they are and why they are left out, as words behind a count.
        count: How many.
        examples: The first few by name.
    """

    reason: str
    count: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        shown = f" ({', '.join(self.examples)}{more})" if self.examples else ""
        return f"{self.count} {self.reason}{shown}"


def omission(reason: str, names: Iterable[str]) -> tuple[Omission, ...]:
    """One omission of what ``names`` names, or none where there is nothing."""
    everything = list(names)
    if not everything:
        return ()
    return (Omission(reason, len(everything), tuple(everything[:_SHOWN])),)
