"""Trials that would only fail again, and runs that cannot go on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial

from tune_select.scheduling.controller import end_run
from tune_select.scheduling.failures import can_pass, failure_of, give_up
from tune_select.scheduling.seed_progress import Seeds
from tune_select.scheduling.waiting_room import WaitingRoom

_IDLE_S = 2.0  # without anything to run, after which nothing will change any more


@dataclass
class DeadEnds:
    """Ends with a reason what would otherwise be tried, or waited for, without end.

    Attributes:
        seeds: The seeds of the run.
        room: Its replays.
        seeds_arm: What marks a seed in its configuration, for people.
    """

    seeds: Seeds
    room: WaitingRoom
    seeds_arm: str
    _failed: list[Trial] = field(default_factory=list)  # Tune wants to try them again
    _idle_since: float | None = None

    def arrive(self, trial: Trial) -> None:
        """A trial was added, or is to start again after a failure."""
        self._idle_since = None
        if trial.num_failures and trial.error_file:
            self._failed.append(trial)

    def give_up_what_cannot_pass(self, controller: Any) -> None:
        """Let fail for good what would fail again in the same way.

        Args:
            controller: Tune's, bare.
        """
        for trial in self._failed:
            failure = failure_of(trial)
            waiting = trial.status in (Trial.PENDING, Trial.PAUSED)
            if failure is not None and waiting and not can_pass(failure):
                give_up(controller, trial, failure)
        self._failed.clear()

    def check(self, controller: Any) -> None:
        """End a run whose replays wait for what will never be.

        Raises:
            ray.tune.TuneError: The reason, once everything that can still run has ended; at once
                where there is one seed alone, and it failed, or where two write one history.
        """
        if self.seeds.twice is not None:
            name, first, second = self.seeds.twice
            end_run(
                controller,
                f"trials {first} and {second} are both seeds of the history {name!r}: give each "
                "seed a history of its own, or run one",
            )
        failed = self.seeds.failed()
        if failed and (len(self.seeds.by_history) == 1 or not self.room.runnable(controller)):
            end_run(
                controller,
                f"seed trial {'; '.join(seed.fate() for seed in failed)}. Its replays cannot go "
                "on. What was published and logged is kept: mend the cause and resume the sweep",
            )
        now = time.monotonic()
        if not self.room.held or self.room.runnable(controller):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > _IDLE_S:
            end_run(controller, self._orphans_text())

    def _orphans_text(self) -> str:
        held = self.room.held.values()
        names = sorted({self.seeds.history_of(waiting.trial.config) for waiting in held})
        return (
            f"{len(held)} replays wait for the histories {names}: they are not complete on disk, "
            f"and no trial with {self.seeds_arm} publishes them. Run a seed trial first "
            "(tune_select.seed_first does), or give a finished history"
        )
