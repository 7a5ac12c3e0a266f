"""A Ray Tune scheduler that makes replays wait for, or follow, the seed trial they replay."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.schedulers.util import _set_search_properties_backwards_compatible

from tune_select.scheduling.controller import (
    ReplaysOnly,
    bare,
    draw_ahead,
    is_starting,
    reuses_actors,
    tell_search,
)
from tune_select.scheduling.dead_ends import DeadEnds
from tune_select.scheduling.giving_way import GivingWay
from tune_select.scheduling.reports import Reports
from tune_select.scheduling.seed_progress import HistoryOf, Seeds, history_name, waiting_for
from tune_select.scheduling.snapshots import Snapshots
from tune_select.scheduling.waiting_room import WaitingRoom
from tune_select.scheduling.winding_down import WindingDown

Stream = Literal["auto", True, False]


class EndOfSearch(Protocol):
    """Says when a search has nothing left to gain."""

    def note(self, config: Mapping[str, Any], result: Mapping[str, Any] | None) -> bool:
        """Learn a trial's configuration and last report, and say whether the search may end."""


class SeedReplayScheduler(TrialScheduler):
    """Holds ``cached`` trials until they can replay; leaves every other decision to ``base``.

    A trial's arm says what it is. The *seed* runs to its end whatever the base thinks of it.
    *Replays* are held (PAUSED, without resources) until their history is complete or, when
    streaming, until their seed has its place, the interval they need next exists (a warm start, and
    the start of a process, need none) and there is room beside the seed; then they are the base's
    to stop, pause and perturb. All
    others, *baselines*, are neither held nor shown to the base, so that it decides what it would
    have decided over the replays alone.

    The scheduler learns of publications from ``history_published`` and ``history_complete`` in the
    seed's reports. A replay's report with ``waiting_for_interval`` >= 0 says that it has caught up:
    it is paused, gives its resources back and is admitted again once that interval exists and the
    seed runs, or the history is complete. Such reports are hidden from the base, and so are those
    of epochs that were not evaluated; both count as training iterations, so give bases
    ``time_attr="epoch"``, and let trials evaluate at the epochs at which the base decides.

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
        stop_requested: Asked at every step; once it says True, what runs is saved, nothing is
            started any more, and the run ends with ``RunStopped``. Must be picklable.
        enough: Asked after each trial that has ended whether the search may end: then no further
            points are drawn, and what has begun is finished. Must be picklable.

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
        history_of: HistoryOf = history_name,
        stop_requested: Callable[[], bool] | None = None,
        enough: EndOfSearch | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if stream not in ("auto", True, False):
            raise ValueError(f"stream must be 'auto', True or False, got {stream!r}")
        if seed_arm in replay_arms:
            raise ValueError(f"the arm {seed_arm!r} cannot be the seed and a replay")
        self._base = base or FIFOScheduler()  # type: ignore[no-untyped-call]
        self._seed_arm, self._replay_arms, self._arm_key = seed_arm, tuple(replay_arms), arm_key
        self._stream: Stream = stream
        self._seeds = Seeds(history_of)
        self._room = WaitingRoom(self._seeds)
        self._snapshots = Snapshots()
        self._stop_requested = stop_requested
        self._winding_down = WindingDown()
        self._reports = Reports()
        self._enough = enough
        self._giving_way = GivingWay()
        self._dead_ends = DeadEnds(self._seeds, self._room, f"{arm_key}={seed_arm!r}")

    @property
    def base(self) -> TrialScheduler:
        """The scheduler that decides over the replays."""
        return self._base

    # What Tune asks about the scheduler is asked of the base.

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

    def save(self, checkpoint_path: str) -> None:
        """Save the base; what we know ourselves is learnt again from the trials."""
        self._base.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Restore the base."""
        self._base.restore(checkpoint_path)

    def debug_string(self) -> str:
        """One line about the histories, then the base's own."""
        return f"Replays held: {len(self._room.held)}. {self._seeds}\n{self._base.debug_string()}"

    # Events, in the order of a trial's life.

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take note of a trial: new, restored, or started again after a failure."""
        if self._is_seed(trial):
            if self._seeds.add(trial).failed:
                tell_search(tune_controller, "seed_failed", trial.trial_id)
        elif self._is_replay(trial):
            self._room.arrive_to_replay(trial)
            self._base.on_trial_add(self._view(tune_controller), trial)
        if trial.status == Trial.TERMINATED:  # in a resumed search
            self._maybe_end_search(tune_controller, trial, trial.last_result)
        self._room.arrive(trial)
        self._dead_ends.arrive(trial)
        self._snapshots.due = True

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Let the seed and baselines go on, the base decide on replays, and waiting ones pause."""
        if self._is_seed(trial):
            self._note(trial, result)
        if not self._is_replay(trial):
            return str(TrialScheduler.CONTINUE)
        needed = waiting_for(result)
        if needed >= 0:
            if self._seeds.may_go_on(trial, needed):
                return str(TrialScheduler.CONTINUE)
            self._room.hold(trial, needed)
            return str(TrialScheduler.PAUSE)
        decision = str(TrialScheduler.CONTINUE)
        if self._reports.note(trial, result, self._base.metric):
            decision = str(self._base.on_trial_result(self._view(tune_controller), trial, result))
        if decision == TrialScheduler.CONTINUE and self._giving_way.must_leave(
            self._seeds.of(trial)
        ):
            self._room.hold(trial, 0)
            return str(TrialScheduler.PAUSE)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Take note of an end."""
        self._snapshots.due = True
        self._maybe_end_search(tune_controller, trial, result)
        if self._is_seed(trial):
            self._note(trial, result)
        elif self._is_replay(trial):
            known = self._reports.last(trial, result, self._base.metric)
            self._base.on_trial_complete(self._view(tune_controller), trial, known)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the base of a failure; Tune adds the trial again if it may be retried."""
        self._maybe_end_search(tune_controller, trial, None)
        if self._is_replay(trial):
            self._base.on_trial_error(self._view(tune_controller), trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the base that a trial was stopped before it ran, or while paused."""
        self._room.forget(trial)
        if self._is_replay(trial):
            self._base.on_trial_remove(self._view(tune_controller), trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Hold and admit replays, then choose: seeds first, then what the base wants.

        Tune stages every PENDING trial right after this call, whatever it returns, so holding one
        means to make it PAUSED here.

        Raises:
            ray.tune.TuneError: No seed can complete a history that replays are waiting for.
            RunStopped: The run was asked to stop, and everything is saved.
        """
        if self._stop_requested is not None and self._stop_requested():
            self._winding_down.step(bare(tune_controller))
            return None
        self._dead_ends.give_up_what_cannot_pass(bare(tune_controller))
        draw_ahead(tune_controller)
        self._room.park_newcomers(tune_controller)
        self._see_which_seeds_start(tune_controller)
        self._snapshots.take_if_due(bare(tune_controller))
        streaming = self._streams(tune_controller)
        more = self._room.admit(tune_controller, streaming=streaming)
        seed = self._waiting_seed(tune_controller)
        self._giving_way.note(waits=seed is not None)
        self._dead_ends.check(tune_controller)  # only now is it known who can go on
        if streaming:
            tell_search(tune_controller, "set_room", more, self._room.open_histories())
        if seed is not None:
            return seed
        if type(self._base) is FIFOScheduler:
            return self._room.first_pending(tune_controller)
        chosen = self._base.choose_trial_to_run(self._view(tune_controller))
        if chosen is not None:
            return None if chosen.trial_id in self._room.held else chosen
        return self._room.first_pending(tune_controller)

    # What a trial is.

    def _is_seed(self, trial: Trial) -> bool:
        return bool(trial.config.get(self._arm_key) == self._seed_arm)

    def _is_replay(self, trial: Trial) -> bool:
        return trial.config.get(self._arm_key) in self._replay_arms

    def _note(self, trial: Trial, result: dict[str, Any]) -> None:
        seed = self._seeds.of(trial)
        assert seed is not None  # it was added
        seed.note(result)

    def _view(self, controller: Any) -> Any:
        return ReplaysOnly(controller, self._room.shown)

    # When replays may follow.

    def _streams(self, controller: Any) -> bool:
        if self._stream is False or self._seeds.followed() is None:
            return False
        return self._stream is True or reuses_actors(controller)

    def _see_which_seeds_start(self, controller: Any) -> None:
        """Learn which seeds have their resources already.

        Replays may start behind such a seed as behind one that runs: the process of a trial takes
        seconds to come up, and on all slots that then happens at once, in place of one after the
        other, while what a short seed selects is waited for.
        """
        for seed in self._seeds.by_history.values():
            seed.starting = seed.pending and is_starting(controller, seed.trial)

    def _waiting_seed(self, controller: Any) -> Trial | None:
        """The first seed that wants to run and has no place yet."""
        seeds = self._seeds.by_history.values()
        return next((seed.trial for seed in seeds if seed.pending and not seed.starting), None)

    def _maybe_end_search(
        self, controller: Any, trial: Trial, result: Mapping[str, Any] | None
    ) -> None:
        if self._enough is not None and self._enough.note(trial.config, result):
            tell_search(controller, "draw_no_more")
