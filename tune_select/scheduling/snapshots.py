"""Saving a sweep's state when something happened, and not only every ten seconds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

_SHORTEST_S = 1.0
_SHARE = 0.01  # of the driver's time that may go into snapshots


@dataclass
class Snapshots:
    """Asks Tune to save the sweep's state soon after a trial was added or has ended.

    By itself Tune saves every ten seconds, so that a driver killed in between would train again
    what had ended, and give trials of a searcher other names. Snapshots grow with the number of
    trials, so they come less often as they take longer.

    Attributes:
        due: Whether there is something new to save.
    """

    due: bool = False
    _not_before: float = -math.inf

    def take_if_due(self, controller: Any) -> None:
        """Save now if something happened and the last time is long enough ago."""
        started = time.monotonic()
        if not self.due or started < self._not_before:
            return
        controller.checkpoint(force=True)
        taken_s = time.monotonic() - started
        self._not_before = started + max(_SHORTEST_S, taken_s / _SHARE)
        self.due = False
