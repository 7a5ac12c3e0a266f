"""How far each seed trial has come, as its reports tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial

from tune_select.history import HistoryError
from tune_select.history.folder import FolderHistory
from tune_select.history.location import history_location
from tune_select.scheduling.failures import failure_of
from tune_select.secrets import mask_text

PUBLISHED = "history_published"
COMPLETE = "history_complete"
WAITING_FOR = "waiting_for_interval"

HistoryOf = Callable[[Mapping[str, Any]], str]

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


@dataclass
class SeedProgress:
    """One seed trial and what it has published.

    Attributes:
        trial: The seed trial.
        published: Intervals published.
        complete: Whether its history is complete.
        tells: Whether its reports say what it has published.
        starting: Whether it has its resources and its process is on its way; the scheduler says.
    """

    trial: Trial
    published: int = 0
    complete: bool = False
    tells: bool = False
    starting: bool = False

    def note(self, result: Mapping[str, Any] | None) -> None:
        """Learn from a report. What was published once stays so: files are durable."""
        if result:
            self.tells = self.tells or PUBLISHED in result
            self.published = max(self.published, int(result.get(PUBLISHED) or 0))
            self.complete = self.complete or bool(result.get(COMPLETE))

    @property
    def running(self) -> bool:
        """Whether more intervals are on their way: nobody can take its place from it any more."""
        return bool(self.trial.status == Trial.RUNNING) or (self.pending and self.starting)

    @property
    def pending(self) -> bool:
        """Whether the trial wants to run."""
        return bool(self.trial.status == Trial.PENDING)

    @property
    def failed(self) -> bool:
        """Whether the trial has ended for good without completing its history."""
        return not self.complete and self.trial.status in _ENDED

    @property
    def can_be_followed(self) -> bool:
        """Whether replays may start behind it."""
        return self.running and not self.complete

    def fate(self) -> str:
        """How a failed seed ended, for people."""
        if self.trial.status == Trial.ERROR:
            return (
                f"{self.trial.trial_id} failed after {self.published} intervals: "
                f"{_last_error(self.trial)}"
            )
        if not self.tells:
            return (
                f"{self.trial.trial_id} ended and never reported {PUBLISHED}: its trainable does "
                "not publish what it selects, or does not say so (with a SubsetSampler: give it "
                "the trial's arm and history, and add **sampler.report() to what is reported)"
            )
        return (
            f"{self.trial.trial_id} was stopped after {self.published} intervals, before its "
            "history was complete (does a stop criterion apply to it?)"
        )


@dataclass
class Seeds:
    """The seed trials of a sweep by the history that each writes.

    Attributes:
        history_of: Maps a configuration to the name of its history.
        by_history: Progress by history.
        twice: A history with the ids of two seeds that both claim it, if that happened.
    """

    history_of: HistoryOf = history_name
    by_history: dict[str, SeedProgress] = field(default_factory=dict)
    twice: tuple[str, str, str] | None = None
    _finished_before: dict[str, bool] = field(default_factory=dict)

    def add(self, trial: Trial) -> SeedProgress:
        """Take note of a seed: new, restored (its last report still counts) or started again."""
        name = self.history_of(trial.config)
        seed = self.by_history.setdefault(name, SeedProgress(trial))
        if seed.trial.trial_id != trial.trial_id:
            self.twice = (name, seed.trial.trial_id, trial.trial_id)
        seed.note(trial.last_result)
        return seed

    def of(self, trial: Trial) -> SeedProgress | None:
        """The seed of a trial's history; ``None`` when no trial here writes it."""
        return self.by_history.get(self.history_of(trial.config))

    def complete_for(self, trial: Trial) -> bool:
        """Whether a replay's whole history is there: written here, or finished by another sweep."""
        name = self.history_of(trial.config)
        if name in self.by_history:
            return self.by_history[name].complete
        if name not in self._finished_before:
            self._finished_before[name] = _is_finished_on_disk(name)
        return self._finished_before[name]

    def may_go_on(self, trial: Trial, needed: int) -> bool:
        """Whether interval ``needed`` is there for a replay, and more will come after it.

        -1 stands for none: then the seed must only run.
        """
        if self.complete_for(trial):
            return True
        seed = self.of(trial)
        return seed is not None and seed.running and seed.published > needed

    def followed(self) -> SeedProgress | None:
        """A seed that replays may start behind."""
        return next((seed for seed in self.by_history.values() if seed.can_be_followed), None)

    def failed(self) -> list[SeedProgress]:
        """Seeds whose history will never be complete."""
        return [seed for seed in self.by_history.values() if seed.failed]

    def __str__(self) -> str:
        return ", ".join(
            f"{name or 'history'}: {'complete' if seed.complete else seed.published}"
            for name, seed in self.by_history.items()
        )


def _is_finished_on_disk(name: str) -> bool:
    try:
        return bool(name) and FolderHistory(name).manifest().complete
    except (HistoryError, ValueError, OSError):
        return False


def _last_error(trial: Trial) -> str:
    """What a trial failed with, and where the rest is."""
    failure = failure_of(trial)
    said = mask_text(str(failure)) if failure is not None else "unknown error"
    return f"{said} (error.txt in {trial.path})"
