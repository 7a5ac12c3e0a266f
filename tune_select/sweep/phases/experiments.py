"""A sweep's experiments in Ray Tune: the search, and after it what only its results could plan."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pyarrow import fs as pafs
from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.scheduling.winding_down import RunStopped
from tune_select.storage import Folder
from tune_select.sweep.cells import shared_cells, without_repeats
from tune_select.sweep.config import SweepConfig
from tune_select.sweep.folder.result_log import ForgetEarlier, ResultLog
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.shared import Cell, id_of, with_shared
from tune_select.sweep.folder.slot_times import collect_stays
from tune_select.sweep.folder.snapshot import KeepSnapshots, is_kept, restore_state
from tune_select.sweep.folder.tables import collect
from tune_select.sweep.interruption import stop_requested
from tune_select.sweep.ladder import RIVAL, is_rival, rival_phase
from tune_select.sweep.outlook.planned import planned_trials
from tune_select.sweep.outlook.progress import ProgressCallback
from tune_select.sweep.outlook.slots import planned_slots
from tune_select.sweep.pace.reporting import reporting_of, takes_reporting
from tune_select.sweep.phases.follow_up import COMPOSED, EARLY_STOP, PROMOTION, SEARCH
from tune_select.sweep.phases.lost_checkpoints import GoOnWithoutLost
from tune_select.sweep.phases.metric_reported import MetricReported
from tune_select.sweep.plan import Plan
from tune_select.sweep.tracking import SweepTracking

_SUPERSEDED = "superseded"


class StopPromptly(Callback):
    """Ends a run of somebody else's scheduler once the sweep is to stop.

    Its trials go on from their last checkpoints; ours saves them first.
    """

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look whether the sweep is to stop.

        Raises:
            RunStopped: It is.
        """
        if stop_requested():
            raise RunStopped


@dataclass
class Experiments:
    """Runs them, and reads them back.

    Attributes:
        plan: The plan of the sweep.
        folder: Its results folder.
        dataset: What all trials share, or ``None``.
        tracking: Where trials are logged.
        resume: Whether experiments that were begun go on.
    """

    plan: Plan
    folder: ResultsFolder
    dataset: Any
    tracking: SweepTracking
    resume: bool
    _begun: dict[str, bool] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _done_before: dict[str, list[Cell]] = field(default_factory=dict)

    @property
    def config(self) -> SweepConfig:
        """The sweep."""
        return self.plan.config

    def restore(self) -> None:
        """Put back what Tune knew of each experiment, before anything reads it.

        Raises:
            SweepError: One was begun, and its state cannot be read.
        """
        _quieten_tune()
        for phase in self.phases():
            storage, name = self._place(phase)
            self._begun[phase] = restore_state(f"{storage}/{name}")

    def fit(
        self,
        phase: str,
        space: dict[str, Any],
        tune_config: tune.TuneConfig,
        planned: Mapping[str, int] | None = None,
    ) -> None:
        """Run an experiment, or let go on what there is of it.

        Tune's own copy of how an experiment was set up (``tuner.pkl``) is never needed: it is made
        anew from the sweep, with the sweep's own time budget and passwords.

        Args:
            phase: Which one.
            space: Its parameter space.
            tune_config: Its search algorithm and scheduler.
            planned: How many trials each arm has, where the search's own plan does not say it.

        Raises:
            SweepError: It was begun, and Tune cannot read its state.
            ray.tune.TuneError: It cannot go on.
            OSError: What was trained last could not be saved.
        """
        storage, name = self._place(phase)
        path = f"{storage}/{name}"
        go_on = self._begun.get(phase, False)
        trainable = self._trainable(tune_config.scheduler)
        ours = isinstance(tune_config.scheduler, SeedReplayScheduler)
        _quieten_tune()
        tuner = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=tune_config,
            run_config=tune.RunConfig(
                name=name,
                storage_path=storage,
                failure_config=tune.FailureConfig(max_failures=self.config.tune.max_failures),
                checkpoint_config=self._checkpoints(phase),
                callbacks=[
                    ResultLog(),
                    self._progress(phase, planned),
                    *self.tracking.callbacks(phase),
                    *([] if ours else [StopPromptly()]),
                    KeepSnapshots(path, restoring=go_on and is_kept(path)),
                    MetricReported(self._needed()),
                    ForgetEarlier(),
                    *([GoOnWithoutLost()] if go_on else []),
                ],
                verbose=0,
            ),
        )
        if go_on:
            # A seed that failed for good gets its chance too, or the replays could never go on.
            tuner = tune.Tuner.restore(path, trainable=trainable, resume_errored=True)
        tuner.fit()
        self._ended.add(phase)

    def _needed(self) -> dict[str, str]:
        """By the field that names it, what a search cannot do without in trials' reports."""
        needed = {"tune.metric": self.plan.metric}
        clock = self.config.tune.scheduler_options.get("time_attr")
        if isinstance(clock, str):
            needed["tune.scheduler_options.time_attr"] = clock
        return needed

    def found(self, phase: str) -> tune.ExperimentAnalysis | None:
        """What an experiment has left so far; ``None`` where it was never begun.

        Where a full disk has cut off Tune's state while the sweep ran, our copy of it is put back.

        Raises:
            OSError: Which the disk does not take either.
            SweepError: Neither can be read.
        """
        storage, name = self._place(phase)
        place = Folder.at(f"{storage}/{name}")
        selector = pafs.FileSelector(place.path, allow_not_found=True)
        names = [info.base_name for info in place.filesystem.get_file_info(selector)]
        if not any(entry.startswith("experiment_state-") for entry in names):
            return None
        try:
            found = tune.ExperimentAnalysis(f"{storage}/{name}")
        except ValueError:  # it is no JSON
            if not restore_state(f"{storage}/{name}"):
                return None
            found = tune.ExperimentAnalysis(f"{storage}/{name}")
        if phase in self._ended:
            # Tune does not write down that HyperBand has dropped a trial that it had paused.
            for trial in found.trials:
                if trial.status == Trial.PAUSED:
                    trial.set_status(Trial.TERMINATED)  # type: ignore[no-untyped-call]
        return found

    def phases(self) -> list[str]:
        """Every experiment that the sweep may have."""
        rivals = [rival_phase(rival.name) for rival in self.config.rival_searches()]
        return [SEARCH, COMPOSED, EARLY_STOP, PROMOTION, *rivals]

    def all_found(self) -> Iterator[tuple[str, tune.ExperimentAnalysis]]:
        """All experiments that were begun, by phase."""
        for phase in self.phases():
            found = self.found(phase)
            if found is not None:
                yield phase, found

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The trials and epochs of all experiments; both empty when nothing was ever begun."""
        found = dict(self.all_found())
        tables = [self.tables_of(analysis, phase) for phase, analysis in found.items()]
        frames = [frame for frame, _ in tables if len(frame)]
        if not frames:
            return pd.DataFrame(), pd.DataFrame()
        all_epochs = [frame for _, frame in tables]
        before = self.plan.continued
        if before is not None:
            frames, all_epochs = [before.trials, *frames], [before.epochs, *all_epochs]
        epochs = pd.concat(all_epochs, ignore_index=True)
        trials = pd.concat(frames, ignore_index=True)
        cells = {SEARCH: self._cells(found[SEARCH])} if SEARCH in found else {}
        for phase, shared in {**cells, **self._done_before}.items():
            trials, epochs = with_shared(
                trials, epochs, shared, phase=_shown(phase), histories_of=self.plan.histories_of
            )
        return trials, epochs

    def show_cells(self) -> None:
        """Show the tracker every cell that a trial of the search stands for."""
        found = self.found(SEARCH)
        if found is not None:
            for phase, cells in {SEARCH: self._cells(found), **self._done_before}.items():
                self.tracking.show(cells, found, phase)

    def searched(self) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
        """All cells of the search: a row each, and by trial id their whole configurations."""
        found = self.found(SEARCH)
        assert found is not None
        trials, epochs = self.tables_of(found, SEARCH)
        cells = self._cells(found)
        trials, _ = with_shared(
            trials, epochs, cells, phase=SEARCH, histories_of=self.plan.histories_of
        )
        configs = {trial.trial_id: dict(trial.config) for trial in found.trials}
        return trials, configs | {id_of(cell): cell.config for cell in cells}

    def left_to_train(self, phase: str, planned: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What of a plan behind the search no trial of the search has trained already.

        Args:
            phase: Which one.
            planned: Configurations.
        """
        found = self.found(SEARCH)
        assert found is not None
        trials, _ = self.tables_of(found, SEARCH)
        finished = set(trials.loc[trials["status"] == "finished", "trial_id"])
        trained = {t.trial_id: t.config for t in found.trials if t.trial_id in finished}
        left, self._done_before[phase] = without_repeats(planned, trained, self.plan)
        return left

    def _cells(self, found: tune.ExperimentAnalysis) -> list[Cell]:
        trained = {trial.trial_id: trial.config for trial in found.trials}
        return shared_cells(self.plan, self.folder.history_root, trained)

    def stays(self) -> pd.DataFrame:
        """Every time that a trial held a slot, of all experiments."""
        found = [
            collect_stays(experiment, RIVAL if is_rival(phase) else phase)
            for phase, experiment in self.all_found()
        ]
        if self.plan.continued is not None:
            found.insert(0, self.plan.continued.stays)
        return pd.concat(found, ignore_index=True)

    def tables_of(
        self, found: tune.ExperimentAnalysis, phase: str
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The trials and epochs of one experiment."""
        return collect(
            found,
            phase=_shown(phase),
            histories_of=self.plan.histories_of,
            metric=self.plan.metric,
            mode=self.plan.mode,
        )

    def set_aside(self, phase: str) -> list[str]:
        """Keep an experiment that other results had planned, where nothing reads it any more.

        Returns:
            The ids of its trials.
        """
        found, self._begun[phase] = self.found(phase), False
        results = Folder.at(self.folder.location)
        selector = pafs.FileSelector(results.file(_SUPERSEDED), allow_not_found=True)
        number = len(results.filesystem.get_file_info(selector))
        results.filesystem.create_dir(results.file(_SUPERSEDED), recursive=True)
        aside = posixpath.join(results.file(_SUPERSEDED), f"{phase}-{number}")
        results.filesystem.move(results.file(phase), aside)
        return [] if found is None else [str(trial.trial_id) for trial in found.trials]

    def _place(self, phase: str) -> tuple[str, str]:
        """Storage path and name: the search is the folder itself, what follows lies inside it."""
        if phase == SEARCH:
            return self.folder.storage_path, self.folder.name
        return self.folder.location, phase

    def _progress(self, phase: str, planned: Mapping[str, int] | None) -> ProgressCallback:
        if planned is None:
            planned = planned_trials(self.plan) if phase == SEARCH else {}
        slots = planned_slots(self.plan)
        title = phase.replace("rivals/", "rival ", 1) if is_rival(phase) else phase
        return ProgressCallback(self.plan.metric, self.plan.mode, title, planned, slots)

    def _checkpoints(self, phase: str) -> tune.CheckpointConfig:
        """What Tune saves by itself: what was trained on all the data, when it has ended.

        When else a trial is saved, it decides itself, see ``reporting_of``. Function trainables
        report checkpoints of their own and refuse a frequency.
        """
        if not isinstance(self.plan.trainable, type):
            return tune.CheckpointConfig(num_to_keep=2)
        every = 0
        if not takes_reporting(self.plan.trainable):
            every = self.config.checkpoint.every or self.config.selection.select_every
        return tune.CheckpointConfig(
            num_to_keep=2, checkpoint_frequency=every, checkpoint_at_end=phase == PROMOTION
        )

    def _trainable(self, scheduler: TrialScheduler | None) -> Any:
        trainable, given = self.plan.trainable, {}
        if self.dataset is not None:
            given["dataset"] = self.dataset
        if takes_reporting(trainable):
            given["reporting"] = reporting_of(self.config, scheduler)
        if given:
            trainable = tune.with_parameters(trainable, **given)
        return tune.with_resources(trainable, _resources(self.config))


def _shown(phase: str) -> str:
    """A phase as the tables call it."""
    return RIVAL if is_rival(phase) else PROMOTION if phase == PROMOTION else SEARCH


def _resources(config: SweepConfig) -> dict[str, float] | Callable[[dict[str, Any]], Any]:
    """The same for every trial, or a function of the trial's arm where arms differ."""
    special = {arm.name: arm.resources for arm in config.named_arms() if arm.resources}
    if not special:
        return dict(config.resources)

    def of_arm(trial: dict[str, Any]) -> tune.PlacementGroupFactory:
        amounts = special.get(str(trial.get("arm"))) or config.resources
        names = {"cpu": "CPU", "gpu": "GPU"}
        return tune.PlacementGroupFactory([{names.get(k, k): v for k, v in amounts.items()}])

    return of_arm


def _quieten_tune() -> None:
    """Leave it to the sweep to say what failed, once, and how to go on."""
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
    # CSV and TensorBoard files beside ours, which nothing of ours reads; they cost the trial that
    # reports as much again as the rest.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # "Trials did not complete"
    # What of a trial's log cannot be read is said by reports_of; one without a report has none.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
