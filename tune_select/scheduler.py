"""A Ray Tune scheduler that makes replays wait for, or follow, the seed trial they replay."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.schedulers.util import _set_search_properties_backwards_compatible

from tune_select.seed_progress import (
    SeedProgress,
    history_name,
    is_finished_on_disk,
    waiting_for,
)
from tune_select.slots import Slots, fits, how_many, request_of, take
from tune_select.snapshots import Snapshots

Stream = Literal["auto", True, False]


_SEED_MAY_WAIT_S = 2.0  # before a replay makes room for a seed that came back from a crash
_BETWEEN_EVICTIONS_S = 5.0
_IDLE_S = 2.0  # without anything to run, after which nothing will change any more


class SeedReplayScheduler(TrialScheduler):
    """Holds ``cached`` trials until they can replay; leaves every other decision to ``base``.

    A trial's arm says what it is. The *seed* runs to its end whatever the base thinks of it.
    *Replays* are held (PAUSED, without resources) until their history is complete or, when
    streaming, until the interval they need next exists and there is room beside the seed; then they
    are the base's to stop, pause and perturb. All others, *baselines*, are neither held nor shown
    to the base, so that it decides what it would have decided over the replays alone.

    The scheduler learns of publications from ``history_published`` and ``history_complete`` in the
    seed's reports. A replay's report with ``waiting_for_interval`` >= 0 says that it has caught up:
    it is paused, gives its resources back and is admitted again once that interval exists and the
    seed runs, or the history is complete. Such reports are hidden from the base, but count as
    training iterations, so give bases ``time_attr="epoch"``.

    A seed that fails for good ends the run with one ``TuneError``; nothing is marked finished that
    is not, so ``Tuner.restore(..., resume_errored=True)`` goes on from there. With several seeds,
    the error comes once everything that does not need the failed ones is done.

    Holds no handles, so it is pickled with the ``Tuner``; after ``Tuner.restore`` it learns anew
    from the trials' last reports.

    Args:
        base: Any Tune scheduler; FIFO by default.
        seed_arm: Value of ``arm_key`` that marks seed trials.
        replay_arms: Values of ``arm_key`` that mark replays.
        arm_key: Key of the trial configuration that names its arm.
        stream: Whether replays may follow a running seed. ``"auto"`` does so where actors are
            reused, so that stepping aside costs little; either way only resources that would idle
            beside the seeds and the baselines are used.
        history_of: Maps a trial's configuration to the name of its history, which seeds and their
            replays share; a folder's path lets replays of a history finished earlier run without a
            seed. Must be picklable.

    Raises:
        ValueError: ``stream`` is unknown, or an arm is both seed and replay.
    """

    def __init__(
        self,
        base: TrialScheduler | None = None,
        *,
        seed_arm: str = "seed",
        replay_arms: Sequence[str] = ("cached",),
        arm_key: str = "arm",
        stream: Stream = "auto",
        history_of: Callable[[Mapping[str, Any]], str] = history_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if stream not in ("auto", True, False):
            raise ValueError(f"stream must be 'auto', True or False, got {stream!r}")
        if seed_arm in replay_arms:
            raise ValueError(f"the arm {seed_arm!r} cannot be the seed and a replay")
        self._base = base or FIFOScheduler()  # type: ignore[no-untyped-call]
        self._seed_arm, self._replay_arms, self._arm_key = seed_arm, tuple(replay_arms), arm_key
        self._stream: Stream = stream
        self._history_of = history_of
        self._seeds: dict[str, SeedProgress] = {}  # by history
        self._two_seeds: tuple[str, str, str] | None = None
        self._finished_before: dict[str, bool] = {}  # histories without a seed here
        self._shown: dict[str, Trial] = {}  # replays that the base sees
        self._held: dict[str, _Held] = {}
        self._newcomers: list[Trial] = []
        self._queue: deque[Trial] = deque()  # what runs in order of arrival
        self._slots = Slots()
        self._snapshots = Snapshots()
        self._seed_waits_since: float | None = None
        self._evicted_at = 0.0
        self._idle_since: float | None = None

    # What Tune asks about the scheduler is asked of the base.

    @property
    def base(self) -> TrialScheduler:
        """The scheduler that decides over the replays."""
        return self._base

    @property
    def metric(self) -> Any:
        """The base's metric."""
        return self._base.metric

    @property
    def supports_buffered_results(self) -> bool:
        """Whether the base takes several results at once."""
        return bool(self._base.supports_buffered_results)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Give the base the metric and its direction."""
        # A replay that waits has nothing to measure; Tune would end the run over such a report.
        os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
        return bool(
            _set_search_properties_backwards_compatible(
                self._base.set_search_properties, metric, mode, **spec
            )
        )

    def debug_string(self) -> str:
        """One line about the histories, then the base's own."""
        published = ", ".join(
            f"{name or 'history'}: {'complete' if seed.complete else seed.published}"
            for name, seed in self._seeds.items()
        )
        return f"Replays held: {len(self._held)}. {published}\n{self._base.debug_string()}"

    # Events, in the order of a trial's life.

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take note of a trial: new, restored, or started again after a failure."""
        if self._is_seed(trial):
            self._add_seed(tune_controller, trial)
        elif self._is_replay(trial):
            self._newcomers.append(trial)
            if trial.trial_id not in self._held:
                self._show(trial)
            self._base.on_trial_add(self._view(tune_controller), trial)
        self._queue.append(trial)
        self._idle_since = None
        self._snapshots.due = True

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Let the seed and baselines go on, the base decide on replays, and waiting ones pause."""
        if self._is_seed(trial):
            self._seed_of(trial).note(result)
        if not self._is_replay(trial):
            return str(TrialScheduler.CONTINUE)
        needed = waiting_for(result)
        if needed >= 0:
            if self._may_go_on(trial, needed):
                return str(TrialScheduler.CONTINUE)
            self._hold(trial, needed)
            return str(TrialScheduler.PAUSE)
        decision = str(self._base.on_trial_result(self._view(tune_controller), trial, result))
        if decision == TrialScheduler.CONTINUE and self._must_make_room(trial):
            self._hold(trial, 0)
            return str(TrialScheduler.PAUSE)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Take note of an end."""
        self._snapshots.due = True
        if self._is_seed(trial):
            self._seed_of(trial).note(result)
        elif self._is_replay(trial):
            self._base.on_trial_complete(self._view(tune_controller), trial, result)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the base of a failure; Tune adds the trial again if it may be retried."""
        if self._is_replay(trial):
            self._base.on_trial_error(self._view(tune_controller), trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the base that a trial was stopped before it ran, or while paused."""
        self._held.pop(trial.trial_id, None)
        if self._is_replay(trial):
            self._base.on_trial_remove(self._view(tune_controller), trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Hold and admit replays, then choose: seeds first, then what the base wants.

        Tune stages every PENDING trial right after this call, whatever it returns, so holding one
        means to make it PAUSED here.

        Raises:
            TuneError: No seed can complete a history that replays are waiting for.
        """
        self._park_newcomers(tune_controller)
        self._snapshots.take_if_due(_bare(tune_controller))
        self._check_seeds(tune_controller)
        self._admit(tune_controller)
        for seed in self._seeds.values():
            if seed.trial.status == Trial.PENDING:
                return seed.trial
        if type(self._base) is FIFOScheduler:
            return self._first_pending()
        chosen = self._base.choose_trial_to_run(self._view(tune_controller))
        if chosen is not None:
            return None if chosen.trial_id in self._held else chosen
        return self._first_pending()

    # What a trial is.

    def _is_seed(self, trial: Trial) -> bool:
        return bool(trial.config.get(self._arm_key) == self._seed_arm)

    def _is_replay(self, trial: Trial) -> bool:
        return trial.config.get(self._arm_key) in self._replay_arms

    def _name(self, trial: Trial) -> str:
        return self._history_of(trial.config)

    def _seed_of(self, trial: Trial) -> SeedProgress:
        return self._seeds[self._name(trial)]

    def _add_seed(self, controller: Any, trial: Trial) -> None:
        name = self._name(trial)
        known = self._seeds.get(name)
        if known is None:
            known = self._seeds[name] = SeedProgress(trial)
        elif known.trial.trial_id != trial.trial_id:
            self._two_seeds = (name, known.trial.trial_id, trial.trial_id)
        known.note(trial.last_result)
        if known.failed:
            _tell_search(controller, "seed_failed", trial.trial_id)

    # Holding and admitting.

    def _complete(self, name: str) -> bool:
        if name in self._seeds:
            return self._seeds[name].complete
        if name not in self._finished_before:
            self._finished_before[name] = is_finished_on_disk(name)
        return self._finished_before[name]

    def _may_go_on(self, trial: Trial, needed: int) -> bool:
        """Whether interval ``needed`` is there, and more will come after it."""
        name = self._name(trial)
        if self._complete(name):
            return True
        seed = self._seeds.get(name)
        return seed is not None and seed.running and seed.has(needed)

    def _show(self, trial: Trial) -> None:
        self._shown[trial.trial_id] = trial

    def _hold(self, trial: Trial, needed: int) -> None:
        self._held[trial.trial_id] = _Held(trial, needed)
        self._shown.pop(trial.trial_id, None)

    def _park_newcomers(self, controller: Any) -> None:
        for trial in self._newcomers:
            if trial.status != Trial.PENDING or self._complete(self._name(trial)):
                continue
            controller._set_trial_status(trial, Trial.PAUSED)
            needed = max(0, waiting_for(trial.last_result or {}))
            self._hold(trial, needed)
        self._newcomers.clear()

    def _admit(self, controller: Any) -> None:
        streaming = self._streams(controller)
        if streaming is None and not self._held:
            return
        left = self._slots.free(self._runnable(controller)) if streaming else {}
        for held in sorted(self._held.values(), key=self._lead, reverse=True):
            if held.trial.status in (Trial.ERROR, Trial.TERMINATED):
                self._release(held.trial)
            elif held.trial.status in (Trial.PAUSED, Trial.PENDING):
                if not self._complete(self._name(held.trial)):
                    request = request_of(held.trial)
                    if not (
                        streaming
                        and self._may_go_on(held.trial, held.needed)
                        and fits(request, left)
                    ):
                        continue
                    take(left, request)
                controller._set_trial_status(held.trial, Trial.PENDING)
                self._release(held.trial)
                self._queue.append(held.trial)
        if streaming:
            shape = next(iter(self._shown.values()), streaming.trial)
            _tell_search(controller, "set_room", how_many(request_of(shape), left))

    def _release(self, trial: Trial) -> None:
        self._held.pop(trial.trial_id)
        self._show(trial)

    def _lead(self, held: _Held) -> int:
        """How many published intervals the trial has not seen: the hungriest wait longest."""
        seed = self._seeds.get(self._name(held.trial))
        return (seed.published if seed else 0) - held.needed

    def _streams(self, controller: Any) -> SeedProgress | None:
        """A running seed that replays may follow now, if any."""
        if self._stream is False:
            return None
        if self._stream == "auto" and not getattr(_bare(controller), "_reuse_actors", False):
            return None
        following = (
            seed
            for seed in self._seeds.values()
            if seed.published and seed.running and not seed.complete
        )
        return next(following, None)

    def _runnable(self, controller: Any) -> list[Trial]:
        """Trials that hold resources or wait for some."""
        return [
            trial
            for trial in controller.get_live_trials()
            if trial.status == Trial.RUNNING
            or (trial.status == Trial.PENDING and trial.trial_id not in self._held)
        ]

    def _must_make_room(self, trial: Trial) -> bool:
        """Whether this replay should leave its place to its seed, which waits for one."""
        seed = self._seeds.get(self._name(trial))
        if seed is None or seed.complete or seed.trial.status != Trial.PENDING:
            return False
        now = time.monotonic()
        if self._seed_waits_since is None or now - self._seed_waits_since < _SEED_MAY_WAIT_S:
            return False
        if now - self._evicted_at < _BETWEEN_EVICTIONS_S:
            return False
        self._evicted_at = now
        return True

    # Ends that are not happy ones.

    def _check_seeds(self, controller: Any) -> None:
        if self._two_seeds is not None:
            name, first, second = self._two_seeds
            _stop_run(
                controller,
                f"trials {first} and {second} are both seeds of the history {name!r}: give each "
                "seed a history of its own, or run one",
            )
        waiting = any(seed.trial.status == Trial.PENDING for seed in self._seeds.values())
        if not waiting:
            self._seed_waits_since = None
        elif self._seed_waits_since is None:
            self._seed_waits_since = time.monotonic()
        failed = [seed for seed in self._seeds.values() if seed.failed]
        if failed and (len(self._seeds) == 1 or not self._runnable(controller)):
            _stop_run(controller, self._failure_text(failed))
        if not self._held or self._runnable(controller):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > _IDLE_S:
            _stop_run(controller, self._orphans_text())

    def _failure_text(self, failed: list[SeedProgress]) -> str:
        what = "; ".join(
            f"{seed.trial.trial_id} "
            + (
                f"failed after {seed.published} intervals: {_last_error(seed.trial)}"
                if seed.trial.status == Trial.ERROR
                else f"was stopped after {seed.published} intervals, before its history was "
                "complete (does a stop criterion apply to it?)"
            )
            for seed in failed
        )
        return (
            f"seed trial {what}. {len(self._held)} replays cannot go on. What was published and "
            "logged is kept: mend the cause and resume the sweep"
        )

    def _orphans_text(self) -> str:
        names = sorted({self._name(held.trial) for held in self._held.values()})
        return (
            f"{len(self._held)} replays wait for the histories {names}: they are not complete on "
            f"disk, and no trial with {self._arm_key}={self._seed_arm!r} publishes them. Run a "
            "seed trial first (tune_select.search.seed_first does), or give a finished history"
        )

    # The base and the order of arrival.

    def _view(self, controller: Any) -> Any:
        return _ReplaysOnly(controller, self._shown)

    def _first_pending(self) -> Trial | None:
        while self._queue:
            trial = self._queue[0]
            if trial.status == Trial.PENDING and trial.trial_id not in self._held:
                return trial
            self._queue.popleft()
        return None


@dataclass(frozen=True)
class _Held:
    """A replay that has no resources and must not be given any.

    Attributes:
        trial: The replay.
        needed: The interval that it needs next, as far as known.
    """

    trial: Trial
    needed: int


class _ReplaysOnly:
    """The controller as the base sees it: with no trials but the replays that are admitted.

    Seen by a base, a seed or a baseline would be a rival, and a held trial a laggard: synchronous
    PBT waits for those and fails on trials that it was never told of.
    """

    def __init__(self, controller: Any, shown: dict[str, Trial]) -> None:
        self._controller = controller
        self._shown = shown

    def get_trials(self) -> list[Trial]:
        return list(self._shown.values())

    def get_live_trials(self) -> set[Trial]:
        live = self._controller.get_live_trials()
        return {trial for trial in self._shown.values() if trial in live}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


def _last_error(trial: Trial) -> str:
    """The last line of a failed trial's error file, and where the rest is."""
    try:
        lines = Path(trial.error_file).read_text().strip().splitlines()
    except (OSError, TypeError):
        lines = []
    return f"{lines[-1] if lines else 'unknown error'} (error.txt in {trial.path})"


def _bare(controller: Any) -> Any:
    """The controller itself; Tune hands schedulers a wrapper that warns on most attributes."""
    return controller.__dict__.get("_tune_controller", controller)


def _stop_run(controller: Any, reason: str) -> None:
    """End the run with an error, after its state is on disk: Tune does not save on errors."""
    _bare(controller).checkpoint(force=True, wait=True)
    raise TuneError(reason)


def _tell_search(controller: Any, method: str, *arguments: Any) -> None:
    """Call a method of our own search algorithm, wherever it is among Tune's wrappers."""
    search = _bare(controller).search_alg
    while search is not None:
        if hasattr(type(search), method):
            getattr(search, method)(*arguments)
            return
        search = getattr(search, "searcher", None)
