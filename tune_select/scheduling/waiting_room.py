"""Which replays are held, and which of them start next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial

from tune_select.scheduling.controller import is_starting
from tune_select.scheduling.seed_progress import SeedProgress, Seeds, waiting_for
from tune_select.scheduling.slots import Slots, fits, how_many, request_of, take

_NEVER_RAN = -1


@dataclass(frozen=True)
class Held:
    """A replay that has no resources and must not be given any.

    Attributes:
        trial: The replay.
        needed: The interval that it needs next, as far as known; -1 for one that has never run.
    """

    trial: Trial
    needed: int


@dataclass
class WaitingRoom:
    """Holds replays by making them PAUSED, and admits them by making them PENDING.

    Attributes:
        seeds: What decides whether a replay can go on.
        shown: Replays that are not held, by trial id in order of arrival.
        held: Replays that are.
    """

    seeds: Seeds
    shown: dict[str, Trial] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    _newcomers: list[Trial] = field(default_factory=list)
    _queue: deque[Trial] = field(default_factory=deque)  # everything that is to run, by arrival
    _slots: Slots = field(default_factory=Slots)

    def arrive(self, trial: Trial) -> None:
        """A trial of any kind was added, or is to start again."""
        self._queue.append(trial)

    def arrive_to_replay(self, trial: Trial) -> None:
        """A replay was added, or is to start again; Tune calls it PENDING after this."""
        self._newcomers.append(trial)
        if trial.trial_id not in self.held:
            self.shown[trial.trial_id] = trial

    def hold(self, trial: Trial, needed: int) -> None:
        """Remember that a trial, which is or will be PAUSED, must stay so."""
        self.held[trial.trial_id] = Held(trial, needed)
        self.shown.pop(trial.trial_id, None)

    def forget(self, trial: Trial) -> None:
        """A trial was stopped from outside."""
        self.held.pop(trial.trial_id, None)

    def park_newcomers(self, controller: Any) -> None:
        """Hold those that arrived and cannot replay yet."""
        for trial in self._newcomers:
            if trial.status == Trial.PENDING and not self.seeds.complete_for(trial):
                controller._set_trial_status(trial, Trial.PAUSED)
                self.hold(trial, _needed_by(trial))
        self._newcomers.clear()

    def admit(self, controller: Any, *, streaming: bool) -> int:
        """Let go on who can.

        Replays of a complete history all can; when streaming, those whose next interval is there
        and for whom there is room beside the seeds and the baselines, furthest behind first. One
        that has never run may start before the first interval is there: its process comes up and
        its warm start is trained meanwhile. If there is no warm start, the first that found out
        keeps the others from trying, see ``open_histories``.

        Returns:
            How many more replays there would be room for.
        """
        if not streaming and not self.held:
            return 0
        left = self._slots.free(self.runnable(controller)) if streaming else {}
        for held in sorted(self.held.values(), key=self._behind, reverse=True):
            trial = held.trial
            if trial.status in (Trial.ERROR, Trial.TERMINATED):
                self._release(trial)
            elif trial.status in (Trial.PAUSED, Trial.PENDING):
                if not self.seeds.complete_for(trial):
                    if not streaming or not self._may_go_on(held):
                        continue
                    request = request_of(trial)
                    if not fits(request, left):
                        continue
                    take(left, request)
                controller._set_trial_status(trial, Trial.PENDING)
                self._release(trial)
                self._queue.append(trial)
        return self._room(left) if streaming else 0

    def open_histories(self) -> frozenset[str]:
        """Names of the histories that further replays may start behind."""
        return frozenset(
            name for name, seed in self.seeds.by_history.items() if self._is_open(seed)
        )

    def runnable(self, controller: Any) -> list[Trial]:
        """Trials that hold resources or wait for some."""
        return [
            trial
            for trial in controller.get_live_trials()
            if trial.status == Trial.RUNNING or self._may_start(trial)
        ]

    def first_pending(self, controller: Any) -> Trial | None:
        """The trial that arrived first of those that may start and are not starting already.

        Tune gives the one that is chosen a process that has come free, and kills the one that was
        being started for it: where trials are shorter than that takes, the other slots would never
        be filled.
        """
        while self._queue and not self._may_start(self._queue[0]):
            self._queue.popleft()
        able = (trial for trial in self._queue if self._may_start(trial))
        return next((trial for trial in able if not is_starting(controller, trial)), None)

    def _may_start(self, trial: Trial) -> bool:
        return bool(trial.status == Trial.PENDING) and trial.trial_id not in self.held

    def _may_go_on(self, held: Held) -> bool:
        seed = self.seeds.of(held.trial)
        if held.needed == _NEVER_RAN and (seed is None or not self._is_open(seed)):
            return False
        return self.seeds.may_go_on(held.trial, held.needed)

    def _is_open(self, seed: SeedProgress) -> bool:
        if not seed.can_be_followed or seed.published > 0:
            return seed.can_be_followed
        waits = (held for held in self.held.values() if held.needed != _NEVER_RAN)
        return not any(self.seeds.of(held.trial) is seed for held in waits)

    def _release(self, trial: Trial) -> None:
        self.held.pop(trial.trial_id)
        self.shown[trial.trial_id] = trial

    def _behind(self, held: Held) -> int:
        """How many published intervals a replay has not seen: it will not starve for so long."""
        seed = self.seeds.of(held.trial)
        return (seed.published if seed else 0) - held.needed

    def _room(self, left: dict[str, float]) -> int:
        seed = self.seeds.followed()
        model = next(iter(self.shown.values()), seed.trial if seed else None)
        return how_many(request_of(model), left) if model is not None else 0


def _needed_by(trial: Trial) -> int:
    last = trial.last_result or {}  # Tune fills in what it knows before the first report
    return max(0, waiting_for(last)) if last.get("training_iteration") else _NEVER_RAN
