"""When a replay leaves its place to its seed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from tune_select.scheduling.seed_progress import SeedProgress

SEED_MAY_WAIT_S = 2.0
BETWEEN_EVICTIONS_S = 5.0


@dataclass
class GivingWay:
    """Lets replays make room for a seed that waits, one after another.

    A seed that comes back from a crash may find every place taken by replays that follow it: they
    would wait for it, and it for them. One place is enough for it, and takes a while to come free.
    """

    _waits_since: float | None = None
    _evicted_at: float = -math.inf

    def note(self, *, waits: bool) -> None:
        """Learn at every step whether a seed waits for a place."""
        if not waits:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = time.monotonic()

    def must_leave(self, seed: SeedProgress | None) -> bool:
        """Whether a replay of this seed should leave its place now; then no other need for a while.

        Args:
            seed: The replay's own; ``None`` where no trial here writes its history.
        """
        if seed is None or seed.complete or not seed.pending or self._waits_since is None:
            return False
        now = time.monotonic()
        if now - self._waits_since < SEED_MAY_WAIT_S:
            return False
        if now - self._evicted_at < BETWEEN_EVICTIONS_S:
            return False
        self._evicted_at = now
        return True
