"""A run of Tune without Ray: as much of its controller as a scheduler meets, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tune_select.scheduling import scheduler as module
from tune_select.scheduling import slots
from tune_select.scheduling.scheduler import SeedReplayScheduler

ENDED = (Trial.TERMINATED, Trial.ERROR)


class Run:
    """Steps all trials, each of which reports once a step while it has a slot.

    A seed publishes interval i with its report of epoch ``i * select_every + 1``; a replay that
    needs what is not published reports that it waits. Checked in every step: no more trials run
    than there are slots, and no replay trains on an interval that was not there.

    Args:
        scheduler: Decides.
        configs: Configurations of the trials, with ``arm`` and ``history``, as they arrive.
        slots: How many trials run at once; each takes one CPU.
        epochs: How long each trains.
        select_every: Epochs of an interval.
        warm_start_epochs: Epochs of replays that need no interval.
    """

    def __init__(
        self,
        scheduler: SeedReplayScheduler,
        configs: list[Mapping[str, Any]],
        *,
        slots: int = 2,
        epochs: int = 4,
        select_every: int = 2,
        warm_start_epochs: int = 0,
    ) -> None:
        self.scheduler, self.slots, self.epochs = scheduler, slots, epochs
        self.select_every, self.warm_start_epochs = select_every, warm_start_epochs
        self.search_alg = SimpleNamespace()
        self.trials = [self._trial(number, dict(config)) for number, config in enumerate(configs)]
        self.waiting = list(self.trials)  # not yet added
        self.published: dict[str, int] = {}
        self.order: list[str] = []  # trials as they began, or went on
        self.begun_at: dict[str, int] = {}  # trials by the step in which they first ran
        self.saved = 0
        self.steps = 0

    def get_trials(self) -> list[Any]:
        return self.trials

    def get_live_trials(self) -> set[Any]:
        return {trial for trial in self.trials if trial.status not in ENDED}

    def _set_trial_status(self, trial: Any, status: str) -> None:
        trial.status = status

    def checkpoint(self, **how: bool) -> None:
        self.saved += 1

    def running(self) -> list[Any]:
        return [trial for trial in self.trials if trial.status == Trial.RUNNING]

    def step(self) -> None:
        """Add one trial, start what may start, and let everything that runs report."""
        self.steps += 1
        if self.waiting:
            self.scheduler.on_trial_add(self, self.waiting.pop(0))
        while len(self.running()) < self.slots:
            chosen = self.scheduler.choose_trial_to_run(self)
            if chosen is None:
                break
            assert chosen.status == Trial.PENDING
            chosen.status = Trial.RUNNING
            self.order.append(chosen.trial_id)
            self.begun_at.setdefault(chosen.trial_id, self.steps)
        if len(self.running()) == self.slots:
            self.scheduler.choose_trial_to_run(self)  # Tune asks with full slots too
        assert len(self.running()) <= self.slots
        for trial in self.running():
            self._report(trial)

    def finish(self, most: int = 200) -> Run:
        """Step until every trial has ended."""
        while self.waiting or self.get_live_trials():
            assert self.steps < most, [(t.trial_id, t.status) for t in self.get_live_trials()]
            self.step()
        return self

    def _report(self, trial: Any) -> None:
        history = trial.config["history"]
        result: dict[str, Any] = {"training_iteration": trial.iteration + 1, "loss": 1.0}
        needs = self._needs(trial.epoch)
        if trial.config["arm"] == "seed":
            self.published[history] = max(self.published.get(history, 0), needs + 1)
            result["history_published"] = self.published[history]
            result["history_complete"] = trial.epoch + 1 == self.epochs
        waits = trial.config["arm"] == "cached" and needs >= self.published.get(history, 0)
        result["waiting_for_interval"] = needs if waits else -1
        trial.iteration += 1
        if not waits:
            trial.epoch += 1
        result["epoch"] = trial.epoch
        trial.last_result = result
        trial.results.append(result)
        if trial.epoch == self.epochs:
            trial.status = Trial.TERMINATED
            self.scheduler.on_trial_complete(self, trial, result)
            return
        decision = self.scheduler.on_trial_result(self, trial, result)
        if decision == TrialScheduler.PAUSE:
            trial.status = Trial.PAUSED
        elif decision == TrialScheduler.STOP:
            trial.status = Trial.TERMINATED
            self.scheduler.on_trial_complete(self, trial, result)

    def _needs(self, epoch: int) -> int:
        """The interval that an epoch, from 0, trains on; -1 in the warm start."""
        if epoch < self.warm_start_epochs:
            return -1
        return (epoch - self.warm_start_epochs) // self.select_every

    def _trial(self, number: int, config: dict[str, Any]) -> Any:
        name = f"{number}-{config['arm']}"
        return _Trial(name, {"history": "", **config})


class _Trial:
    """As much of Tune's trial as schedulers look at."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.trial_id, self.config, self.status = name, config, Trial.PENDING
        self.last_result: dict[str, Any] = {}
        self.results: list[dict[str, Any]] = []
        self.epoch = self.iteration = self.num_failures = 0
        self.error_file: str | None = None
        self.path = None
        self.placement_group_factory = SimpleNamespace(required_resources={"CPU": 1.0})


def without_ray(monkeypatch: pytest.MonkeyPatch, cpus: float) -> SimpleNamespace:
    """Put a clock and a cluster of so many CPUs in the place of the real ones.

    Returns:
        With ``now``, the time in seconds.
    """
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    for name in ("is_starting", "reuses_actors"):
        monkeypatch.setattr(module, name, lambda *_: False)
    monkeypatch.setattr("tune_select.scheduling.waiting_room.is_starting", lambda *_: False)
    monkeypatch.setattr(module, "draw_ahead", lambda *_: None)
    monkeypatch.setattr(slots.ray, "cluster_resources", lambda: {"CPU": cpus})
    monkeypatch.setattr(module.Snapshots, "take_if_due", lambda *_: None)
    return clock
