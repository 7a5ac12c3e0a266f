"""A sweep from its YAML to its report: seed, replays, baselines, promotion, tracking."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from ray import tune
from ray.tune.search import SearchGenerator
from rich.console import Console

import analysis
from analysis.questions.pictures import extreme_examples, write_examples
from tune_select.cluster import check_shared_storage
from tune_select.history import HistoryError, SubsetHistory
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.search.fixed_points import FixedPoints
from tune_select.search.ladder import LADDER
from tune_select.search.seed_first import seed_first
from tune_select.sweep import ray_session
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.follow_up import (
    COMPOSED,
    EARLY_STOP,
    PROMOTION,
    composed_configs,
    early_stop_configs,
    promotion_configs,
)
from tune_select.sweep.ladder import (
    RIVAL,
    check_rungs_hold_classes,
    finish_contest,
    is_rival,
    ladder_search,
    limited,
    rival_phase,
    rival_search,
)
from tune_select.sweep.plan import Plan, check_trials, make_plan, make_scheduler, make_searcher
from tune_select.sweep.progress import ProgressCallback
from tune_select.sweep.result_log import ResultLog
from tune_select.sweep.results_folder import ResultsFolder
from tune_select.sweep.slot_times import collect_stays, slots_of
from tune_select.sweep.strategies import Sessions
from tune_select.sweep.summary import show_summary
from tune_select.sweep.tables import collect
from tune_select.sweep.tracking import SweepTracking
from tune_select.sweep.yaml_file import parse_sweep

SEARCH = "search"


def validate_sweep(config: SweepConfig, *, data: bool = True) -> Plan:
    """Check a sweep, its data and its given history without running anything.

    Args:
        config: As written.
        data: Whether the files that it reads are here and are looked at.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    plan = make_plan(config)
    if data:
        _load_and_check(plan)
    else:
        check_trials(plan, files=False)
    return plan


def run_sweep(config: SweepConfig) -> ResultsFolder:
    """Run a sweep from its first trial to its report.

    Raises:
        SweepError: Something is wrong with the sweep, found before any trial started, or its
            results folder holds a sweep already.
        ray.tune.TuneError: The seed trial failed for good.
    """
    plan = _resolved(make_plan(config))
    dataset = _load_and_check(plan)
    folder = ResultsFolder.create(plan.config)
    return _Sweep(plan, folder, dataset, resume=False).run()


def resume_sweep(location: str | Path) -> ResultsFolder:
    """Finish what an interrupted sweep left; what has ended does not run again.

    Raises:
        SweepError: There is no sweep at ``location``.
    """
    folder = ResultsFolder.open(location)
    plan = make_plan(parse_sweep(folder.read_sweep()))
    return _Sweep(plan, folder, _load_and_check(plan), resume=True).run()


def _resolved(plan: Plan) -> Plan:
    """The plan with what its results folder must record: an id of its own, metric and mode."""
    tune_config = plan.config.tune.model_copy(update={"metric": plan.metric, "mode": plan.mode})
    sweep_id = plan.config.sweep_id or uuid.uuid4().hex
    config = plan.config.model_copy(update={"tune": tune_config, "sweep_id": sweep_id})
    return replace(plan, config=config)


def _load_and_check(plan: Plan) -> Any:
    """The data set, once for all trials, if the trainable shares one; every arm checked on it."""
    load = getattr(plan.trainable, "load_dataset", None)
    try:
        check_trials(plan)
        dataset = None if load is None else load(plan.base_config())
        check_trials(plan, dataset)
        check_rungs_hold_classes(plan, dataset)
    except (ValueError, OSError) as error:
        raise SweepError(str(error)) from None
    _check_history(plan, dataset)
    return dataset


def _check_history(plan: Plan, dataset: Any) -> None:
    """Refuse a given history that belongs to other data, before any trial starts."""
    if plan.config.history is None:
        return
    try:
        history = SubsetHistory.load(plan.config.history)
        if not history.complete:
            raise SweepError(
                f"history: {plan.config.history} ends after {len(history.intervals)} intervals; "
                "finish its sweep with --resume, or leave history out so that a seed trial runs"
            )
        if dataset is not None:
            history.identity.check_fits(dataset.identity)
    except HistoryError as error:
        raise SweepError(f"history: {error}") from None


@dataclass
class _Sweep:
    plan: Plan
    folder: ResultsFolder
    dataset: Any
    resume: bool

    def __post_init__(self) -> None:
        self.console = Console()
        self.began = time.time()
        self.slots = 1
        self.tracking = SweepTracking.of(self.plan.config, self.folder)

    @property
    def config(self) -> SweepConfig:
        return self.plan.config

    @property
    def _store_name(self) -> str:
        return f"tune-select-{self.config.sweep_id}"

    def run(self) -> ResultsFolder:
        """Search, then promote, then report; what there is gets reported whatever ended it."""
        self.console.print(f"[bold]{self.config.name}[/]: {self.plan.trials_text()}")
        status = "FAILED"
        try:
            with ray_session.connected(self.config.cluster, self.config.model_dump()):
                self.slots = slots_of(
                    ray.cluster_resources(),  # type: ignore[no-untyped-call]
                    self.config.resources.items(),
                )
                self._check_storage()
                self._train()
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            self._report(status)
        return self.folder

    def _check_storage(self) -> None:
        try:
            check_shared_storage(self.folder.storage_path)
        except ValueError as error:
            raise SweepError(str(error)) from None

    def _train(self) -> None:
        store = HistoryStore.start(self._store_name) if self.config.needs_seed() else None
        try:
            if self.config.tune.ladder is not None:
                self._contest()
            else:
                self._search()
                self._follow_up()
        finally:
            if store is not None:
                store.stop()

    def _search(self) -> None:
        scheduler = SeedReplayScheduler(
            make_scheduler(self.plan),
            replay_arms=tuple(self.config.replay_arms()),
            stream=self.config.tune.stream,
        )
        seeds = self.plan.seed_configs(self.folder.history_root, self._store_name)
        algorithm, space = seed_first(
            make_searcher(self.plan),
            space=self.plan.param_space(self.folder.history_root, self._store_name),
            seed_configs=seeds if self.config.needs_seed() else [],
            arms=[self.config.arm(name) for name in self.config.search_arms()],
            seeds=self.config.tune.seeds,
            num_samples=self.plan.num_samples,
            primary_arm=self.config.primary_arm(),
            replay_arms=self._replays_in_search(),
            max_concurrent=self.config.tune.max_concurrent,
            nearest_by=self.config.tune.nearest_by,
            random_state=self.config.tune.seeds[0],
        )
        tune_config = tune.TuneConfig(
            metric=self.plan.metric,
            mode=self.plan.mode,
            search_alg=algorithm,
            scheduler=scheduler,
            time_budget_s=self.config.tune.time_budget_s,
            reuse_actors=True,
        )
        self._fit(SEARCH, space, tune_config)

    def _contest(self) -> None:
        """The ladder, then each rival by itself, on the same slots."""
        sessions, slots = Sessions(self.folder.location), limited(self.config, self.slots)
        algorithm, space = ladder_search(self.plan, self.folder.history_root)
        settings = tune.TuneConfig(
            metric=self.plan.metric,
            mode=self.plan.mode,
            search_alg=algorithm,
            time_budget_s=self.config.tune.time_budget_s,
            reuse_actors=True,
        )
        with sessions.running(LADDER, slots):
            self._fit(SEARCH, space, settings)
        for rival in self.config.rival_searches():
            settings, space = rival_search(self.plan, rival)
            with sessions.running(rival.name, slots):
                self._fit(rival_phase(rival.name), space, settings)

    def _replays_in_search(self) -> list[str]:
        if not self.config.needs_seed():
            return []
        searched = self.config.search_arms()
        return [arm for arm in self.config.replay_arms() if arm in searched]

    def _follow_up(self) -> None:
        """Train what only the search's results could name.

        Replays of all seeds' histories together, matched seconds, and promotions.
        """
        found = tune.ExperimentAnalysis(self.folder.location)
        trials, _ = self._tables(found, SEARCH)
        configs = {trial.trial_id: dict(trial.config) for trial in found.trials}
        planned = {
            COMPOSED: composed_configs(self.plan, trials, configs, self.folder.history_root),
            EARLY_STOP: early_stop_configs(self.config.named_arms(), trials, configs),
            PROMOTION: promotion_configs(self.plan, trials, configs),
        }
        for phase, points in planned.items():
            if points:
                search = SearchGenerator(FixedPoints(points))
                tune_config = tune.TuneConfig(
                    search_alg=search, num_samples=len(points), reuse_actors=True
                )
                self._fit(phase, {}, tune_config)

    def _fit(self, phase: str, space: dict[str, Any], tune_config: tune.TuneConfig) -> None:
        storage, name = self._experiment(phase)
        path = f"{storage}/{name}"
        trainable = self._trainable()
        if self.resume and tune.Tuner.can_restore(path):
            # A seed that failed for good gets its chance too, or the replays could never go on.
            tuner = tune.Tuner.restore(path, trainable=trainable, resume_errored=True)
        else:
            tuner = tune.Tuner(
                trainable,
                param_space=space,
                tune_config=tune_config,
                run_config=tune.RunConfig(
                    name=name,
                    storage_path=storage,
                    failure_config=tune.FailureConfig(max_failures=self.config.tune.max_failures),
                    checkpoint_config=self._checkpoints(),
                    callbacks=[
                        ResultLog(),
                        ProgressCallback(self.plan.metric, self.plan.mode, phase),
                        *self.tracking.callbacks(phase),
                    ],
                    verbose=0,
                ),
            )
        tuner.fit()

    def _checkpoints(self) -> tune.CheckpointConfig:
        """What a trial that dies has to do again: at most one selection interval.

        Function trainables report checkpoints of their own and refuse a frequency.
        """
        if not isinstance(self.plan.trainable, type):
            return tune.CheckpointConfig(num_to_keep=2)
        every = self.config.selection.select_every
        return tune.CheckpointConfig(num_to_keep=2, checkpoint_frequency=every)

    def _experiment(self, phase: str) -> tuple[str, str]:
        """Storage path and name: the search is the folder itself, what follows lies inside it."""
        if phase == SEARCH:
            return self.folder.storage_path, self.folder.name
        return self.folder.location, phase

    def _trainable(self) -> Any:
        trainable = self.plan.trainable
        if self.dataset is not None:
            trainable = tune.with_parameters(trainable, dataset=self.dataset)
        return tune.with_resources(trainable, _resources(self.config))

    def _tables(
        self, found: tune.ExperimentAnalysis, phase: str
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        return collect(
            found,
            phase=RIVAL if is_rival(phase) else PROMOTION if phase == PROMOTION else SEARCH,
            histories_of=self.plan.histories_of,
            metric=self.plan.metric,
            mode=self.plan.mode,
        )

    def _report(self, status: str) -> None:
        found = [
            (tune.ExperimentAnalysis(f"{storage}/{name}"), phase)
            for phase in self._phases()
            for storage, name in [self._experiment(phase)]
            if tune.Tuner.can_restore(f"{storage}/{name}")
        ]
        tables = [self._tables(experiment, phase) for experiment, phase in found]
        stays = [collect_stays(x, RIVAL if is_rival(phase) else phase) for x, phase in found]
        trials = [frame for frame, _ in tables if len(frame)]
        if not trials:
            return  # nothing ever started; the error that ended it says why
        all_trials = pd.concat(trials, ignore_index=True)
        if self.config.tune.ladder is not None:
            all_trials = finish_contest(self.plan, self.folder.location, all_trials)
        self.folder.write_tables(
            all_trials, pd.concat([frame for _, frame in tables], ignore_index=True)
        )
        self.folder.write_slots(pd.concat(stays, ignore_index=True))
        self.folder.add_run(self.began, time.time(), self.slots)
        self.folder.with_local_copy(lambda path: self._publish(path, status))

    def _phases(self) -> list[str]:
        rivals = [rival_phase(rival.name) for rival in self.config.rival_searches()]
        return [SEARCH, COMPOSED, EARLY_STOP, PROMOTION, *rivals]

    def _publish(self, folder: Path, status: str) -> None:
        """Write the report into the results folder and hand it to the tracker."""
        self._write_pictures(folder)
        analysis.write_report(folder)
        show_summary(folder, self.console)
        self.tracking.finish(status, folder)

    def _write_pictures(self, folder: Path) -> None:
        """Keep the examples that the first history favours and shuns, for the galleries."""
        pictures = getattr(self.plan.trainable, "pictures", None)
        histories = sorted((folder / "history").glob("*/manifest.json"))
        if pictures is None or self.dataset is None or not histories:
            return
        history = histories[0].parent
        labels = pictures(self.dataset, np.empty(0, np.int64)).get("labels")
        if labels is None:
            return
        chosen = extreme_examples(history, labels)
        shown = pictures(self.dataset, chosen)
        write_examples(folder, example=chosen, history=history.name, **shown)


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
