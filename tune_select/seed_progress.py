"""How far each seed trial has come, as its reports tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial

from tune_select.history import HistoryError
from tune_select.history_folder import FolderHistory
from tune_select.location import history_location

PUBLISHED = "history_published"
COMPLETE = "history_complete"
WAITING_FOR = "waiting_for_interval"

_ENDED = (Trial.ERROR, Trial.TERMINATED)


def history_name(config: Mapping[str, Any]) -> str:
    """What tells a trial's history from others: its folder, or ``""`` where none is configured.

    Seeds and replays of one history agree on it. Follows ``location.history_location``.
    """
    location = history_location(config)
    if isinstance(location, Mapping):
        return str(location.get("path", ""))
    return location or ""


def waiting_for(result: Mapping[str, Any]) -> int:
    """The interval that a report waits for; -1 for a report of training."""
    value = result.get(WAITING_FOR, -1)
    return -1 if value is None else int(value)


def is_finished_on_disk(name: str) -> bool:
    """Whether ``name`` is the folder of a complete history, from an earlier sweep."""
    try:
        return bool(name) and FolderHistory(name).manifest().complete
    except (HistoryError, ValueError, OSError):
        return False


@dataclass
class SeedProgress:
    """One seed trial and what it has published.

    Attributes:
        trial: The seed trial.
        published: Intervals published.
        complete: Whether its history is complete.
    """

    trial: Trial
    published: int = 0
    complete: bool = False

    def note(self, result: Mapping[str, Any] | None) -> None:
        """Learn from a report. What was published once stays so: files are durable."""
        if result:
            self.published = max(self.published, int(result.get(PUBLISHED) or 0))
            self.complete = self.complete or bool(result.get(COMPLETE))

    @property
    def running(self) -> bool:
        """Whether more intervals are on their way."""
        return bool(self.trial.status == Trial.RUNNING)

    @property
    def failed(self) -> bool:
        """Whether the trial has ended for good without completing its history."""
        return not self.complete and self.trial.status in _ENDED

    def has(self, interval: int) -> bool:
        """Whether ``interval`` is published."""
        return self.published > interval
