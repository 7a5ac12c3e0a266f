"""A sweep from its YAML to its report: seed, replays, baselines, promotion, tracking."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from rich.console import Console

from tune_select.cluster import check_shared_storage
from tune_select.history.store import HistoryStore
from tune_select.scheduling.winding_down import RunStopped
from tune_select.sweep import ray_session
from tune_select.sweep.closing import Closing
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.ending import Ending
from tune_select.sweep.folder.begun import as_begun, settings_of
from tune_select.sweep.folder.kept import check_histories_kept
from tune_select.sweep.folder.lock import locked
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.slot_times import slots_of
from tune_select.sweep.folder.state import KeptState, SweepState
from tune_select.sweep.interruption import (
    Interruption,
    StopRequested,
    interruptible,
)
from tune_select.sweep.phases.experiments import Experiments
from tune_select.sweep.phases.follow_up import SEARCH
from tune_select.sweep.phases.following import FollowUps
from tune_select.sweep.phases.searching import search, store_name
from tune_select.sweep.plan import Plan, make_plan
from tune_select.sweep.preflight import (
    KEPT_FOR_LATER,
    check_resources,
    check_tracking,
    check_tracking_settings,
)
from tune_select.sweep.tracking import SweepTracking, constant_params
from tune_select.sweep.validation import checked_with_data, load_and_check
from tune_select.wording import said_of


class SweepEndedError(tune.TuneError):
    """A sweep that did not finish; what there is has been reported.

    Attributes:
        ending: How it ended.
        folder: Its results folder.
    """

    def __init__(self, ending: Ending, said: str, folder: ResultsFolder) -> None:
        super().__init__(said)
        self.ending, self.folder = ending, folder


def run_sweep(config: SweepConfig) -> ResultsFolder:
    """Run a sweep from its first trial to its report.

    Ctrl-C, SIGTERM and the end of ``tune.time_budget_s`` stop it in order: what runs is saved, what
    there is gets reported, and ``resume_sweep`` goes on.

    Raises:
        SweepError: Something is wrong with the sweep, found before any trial started, or its
            results folder holds a sweep already, or is in use.
        SweepEndedError: It did not finish: it was stopped, or it failed.
    """
    plan, dataset = checked_with_data(config)
    plan = _resolved(plan)
    with locked(ResultsFolder.of(plan.config).location):
        folder = ResultsFolder.create(plan.config)
        if plan.continued is not None:
            plan.continued.leave_to(folder)
        state = SweepState(settings_of(plan.config), location=folder.location)
        return _Sweep(plan, folder, dataset, state, resume=False).run()


def resume_sweep(location: str | Path) -> ResultsFolder:
    """Finish what an interrupted sweep left; what has ended does not run again.

    Raises:
        SweepError: There is no sweep at ``location``, it is in use, or its ``sweep.yaml`` is no
            longer the one that it was begun with.
        SweepEndedError: It did not finish this time either.
    """
    folder = ResultsFolder.open(location)
    with locked(folder.location):
        config, state = as_begun(folder)
        plan = make_plan(config)
        check_tracking_settings(config)
        sweep = _Sweep(plan, folder, load_and_check(plan), state, resume=True)
        try:
            check_tracking(config)
        except SweepError as error:  # a tracker that is away costs no training
            sweep.console.print(f"{error}. {KEPT_FOR_LATER}", markup=False, soft_wrap=True)
        return sweep.run()


def _resolved(plan: Plan) -> Plan:
    """The plan with what its results folder must record: an id of its own, metric and mode."""
    tune_config = plan.config.tune.model_copy(update={"metric": plan.metric, "mode": plan.mode})
    sweep_id = plan.config.sweep_id or uuid.uuid4().hex
    config = plan.config.model_copy(update={"tune": tune_config, "sweep_id": sweep_id})
    return replace(plan, config=config)


class _Sweep:
    """A sweep that runs: it trains what is still to be trained, and reports, whatever ended it."""

    def __init__(
        self, plan: Plan, folder: ResultsFolder, dataset: Any, state: SweepState, *, resume: bool
    ) -> None:
        self.plan, self.folder, self.dataset = plan, folder, dataset
        self.state = KeptState(state, folder.location)
        self.console = Console()
        self.began = time.time()
        self.slots = 1
        self.tracking = SweepTracking.of(plan.config, folder, constant_params(plan))
        self.experiments = Experiments(plan, folder, dataset, self.tracking, resume)

    def run(self) -> ResultsFolder:
        """Search, then promote, then report; what there is gets reported whatever ended it.

        Raises:
            SweepEndedError: It did not finish.
        """
        config = self.plan.config
        if self.experiments.resume:
            self.experiments.restore()
            self._check_what_is_kept()
        self.console.print(f"[bold]{config.name}[/]: {self.plan.trials_text()}")
        for sentence in () if self.plan.continued is None else self.plan.continued.said:
            self.console.print(sentence, markup=False)
        self.state.becomes(self.state.now.begun())
        with interruptible(config.tune.time_budget_s) as interruption:
            closing = Closing(
                self.plan, self.folder, self.dataset, self.experiments, self.state, self.tracking,
                interruption, self.console, self.began,
            )  # fmt: skip
            try:
                ending = self._trained(interruption)
                interruption.listen()  # the end of Ray's session leaves signals to the system
            except BaseException as error:
                # A fault of ours or of the machine's: reported like any end, then raised.
                closing.report(Ending.failed(f"{type(error).__name__}: {error}"), self.slots)
                raise
            ending = closing.report(ending, self.slots)
        if not ending.is_finished:
            raise SweepEndedError(ending, self.state.now.said, self.folder)
        return self.folder

    def _check_what_is_kept(self) -> None:
        """Refuse to go on without what trials would wait for.

        Raises:
            SweepError: A history is gone.
        """
        found = self.experiments.found(SEARCH)
        ended = self.state.now.ending
        if found is not None and not (ended is not None and ended.is_finished):
            check_histories_kept(found.trials)

    def _trained(self, interruption: Interruption) -> Ending:
        """Train everything that is still to be trained, and say how that ended."""
        config = self.plan.config
        try:
            with ray_session.connected(config.cluster, config.model_dump()):
                interruption.listen()
                interruption.check()
                interruption.start_clock()
                self.slots = slots_of(
                    ray.cluster_resources(),  # type: ignore[no-untyped-call]
                    config.resources.items(),
                )
                self._check_storage()
                check_resources(config)  # by what Ray has got of the machine
                self._log_again_what_is_lost()
                self._train(interruption)
                interruption.stop_clock()
        except (StopRequested, RunStopped):
            ending = interruption.ending()
            assert ending is not None
            return ending
        except OSError as error:  # storage that is full, or gone
            return Ending.failed(said_of(error))
        except tune.TuneError as error:
            return Ending.failed(str(error))
        return interruption.ending() or Ending.finished()

    def _check_storage(self) -> None:
        try:
            check_shared_storage(self.folder.storage_path)
        except ValueError as error:
            raise SweepError(str(error)) from None

    def _log_again_what_is_lost(self) -> None:
        """The tracker's database may have been deleted since; what it held is in our files."""
        if self.experiments.resume and self.tracking.has_lost_the_sweep():
            self.tracking.log_all_again(self.experiments.all_found())

    def _train(self, interruption: Interruption) -> None:
        plan = self.plan
        store = HistoryStore.start(store_name(plan)) if plan.config.needs_seed() else None
        try:
            search(plan, self.experiments, self.slots)
            if plan.config.tune.ladder is None:
                FollowUps(
                    plan, self.experiments, self.state, self.tracking, self.console,
                    interruption.check,
                ).run()  # fmt: skip
        finally:
            if store is not None:
                store.stop()
