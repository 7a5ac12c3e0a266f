"""A sweep from its YAML to its report: seed, replays, baselines, promotion, tracking."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import ray
import yaml
from ray import tune
from ray.tune.search import SearchGenerator
from rich.console import Console

from analysis.results.stopped import PLANNED_FILE
from tune_select.cluster import check_shared_storage
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.scheduling.seed_progress import history_name
from tune_select.scheduling.winding_down import RunStopped
from tune_select.search.earlier import Earlier
from tune_select.search.fixed_points import FixedPoints
from tune_select.search.ladder import LADDER
from tune_select.search.seed_first import seed_first
from tune_select.secrets import fill_masked, mask_settings
from tune_select.storage import Folder
from tune_select.sweep import ray_session
from tune_select.sweep.cells import crossed_with
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.continuing.joined import with_histories
from tune_select.sweep.ending import Ending
from tune_select.sweep.folder.kept import check_histories_kept
from tune_select.sweep.folder.lock import locked
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.slot_times import slots_of
from tune_select.sweep.folder.state import SweepState, check_place, check_same, fingerprint
from tune_select.sweep.folder.strategies import Sessions
from tune_select.sweep.interruption import StopRequested, interruptible, stop_requested
from tune_select.sweep.ladder import (
    drop_weights,
    finish_contest,
    ladder_search,
    limited,
    rival_phase,
    rival_search,
)
from tune_select.sweep.outlook.forecast import configurations
from tune_select.sweep.outlook.stop_rule import StopRule
from tune_select.sweep.phases.experiments import Experiments
from tune_select.sweep.phases.follow_up import (
    COMPOSED,
    EARLY_STOP,
    PROMOTION,
    SEARCH,
    composed_configs,
    early_stop_configs,
    promotion_configs,
)
from tune_select.sweep.plan import Plan, make_plan
from tune_select.sweep.preflight import (
    KEPT_FOR_LATER,
    check_resources,
    check_tracking,
    check_tracking_settings,
)
from tune_select.sweep.publication import failed_arms, left_out, write_report
from tune_select.sweep.tracking import SweepTracking, constant_params
from tune_select.sweep.validation import checked_with_data, load_and_check
from tune_select.sweep.yaml_file import parse_sweep
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
        state = SweepState(_settings_of(plan.config), location=folder.location)
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
        config, state = _as_begun(folder)
        plan = make_plan(config)
        check_tracking_settings(config)
        sweep = _Sweep(plan, folder, load_and_check(plan), state, resume=True)
        try:
            check_tracking(config)
        except SweepError as error:  # a tracker that is away costs no training
            sweep.console.print(f"{error}. {KEPT_FOR_LATER}", markup=False, soft_wrap=True)
        return sweep.run()


def _as_begun(folder: ResultsFolder) -> tuple[SweepConfig, SweepState]:
    """The sweep of a results folder, which must be the one that its trials were trained with."""
    state = SweepState.read(folder.location)
    if state is not None:
        check_place(state, folder.location)
    try:
        written = folder.read_sweep()
        if not isinstance(written, dict):
            raise yaml.YAMLError("it holds no keys")
    except (FileNotFoundError, yaml.YAMLError) as error:
        if state is None:
            raise SweepError(f"{folder.location}/sweep.yaml cannot be read: {error}") from None
        written = dict(state.settings)
        folder.write_sweep(parse_sweep(written))
    if state is None:  # begun by an older version, or damaged: then the YAML is all there is
        config = parse_sweep(fill_masked(written, os.environ))
        return config, SweepState(_settings_of(config))
    try:
        config = parse_sweep(fill_masked(written, os.environ))
    except SweepError as error:
        raise SweepError(f"{folder.location}/sweep.yaml was changed: {error}") from None
    # Parsed, so that keys which are new since then have their defaults on both sides.
    check_same(_settings_of(parse_sweep(state.settings)), _settings_of(config), folder.location)
    return config, state


def _settings_of(config: SweepConfig) -> Mapping[str, Any]:
    """A sweep as it may be written down."""
    settings = mask_settings(config.model_dump(mode="json"))
    assert isinstance(settings, dict)
    return settings


def _resolved(plan: Plan) -> Plan:
    """The plan with what its results folder must record: an id of its own, metric and mode."""
    tune_config = plan.config.tune.model_copy(update={"metric": plan.metric, "mode": plan.mode})
    sweep_id = plan.config.sweep_id or uuid.uuid4().hex
    config = plan.config.model_copy(update={"tune": tune_config, "sweep_id": sweep_id})
    return replace(plan, config=config)


@dataclass
class _Sweep:
    plan: Plan
    folder: ResultsFolder
    dataset: Any
    state: SweepState
    resume: bool

    def __post_init__(self) -> None:
        self.console = Console()
        self.began = time.time()
        self.slots = 1
        self.tracking = SweepTracking.of(self.plan.config, self.folder, constant_params(self.plan))
        self.experiments = Experiments(
            self.plan, self.folder, self.dataset, self.tracking, self.resume
        )

    @property
    def config(self) -> SweepConfig:
        return self.plan.config

    @property
    def _store_name(self) -> str:
        return f"tune-select-{self.config.sweep_id}"

    def run(self) -> ResultsFolder:
        """Search, then promote, then report; what there is gets reported whatever ended it.

        Raises:
            SweepEndedError: It did not finish.
        """
        if self.resume:
            self.experiments.restore()
            self._check_what_is_kept()
        self.console.print(f"[bold]{self.config.name}[/]: {self.plan.trials_text()}")
        for sentence in () if self.plan.continued is None else self.plan.continued.said:
            self.console.print(sentence, markup=False)
        self._keep(self.state.begun())
        with interruptible(self.config.tune.time_budget_s) as self.interruption:
            try:
                ending = self._trained()
            except BaseException as error:
                # A fault of ours or of the machine's: reported like any end, then raised.
                self._reported(Ending.failed(f"{type(error).__name__}: {error}"))
                raise
            ending = self._reported(ending)
        if not ending.is_finished:
            raise SweepEndedError(ending, self.state.said, self.folder)
        return self.folder

    def _check_what_is_kept(self) -> None:
        """Refuse to go on without what trials would wait for.

        Raises:
            SweepError: A history is gone.
        """
        found = self.experiments.found(SEARCH)
        ended = self.state.ending
        if found is not None and not (ended is not None and ended.is_finished):
            check_histories_kept(found.trials)

    def _trained(self) -> Ending:
        """Train everything that is still to be trained, and say how that ended."""
        try:
            with ray_session.connected(self.config.cluster, self.config.model_dump()):
                self.interruption.listen()
                self.interruption.start_clock()
                self.slots = slots_of(
                    ray.cluster_resources(),  # type: ignore[no-untyped-call]
                    self.config.resources.items(),
                )
                self._check_storage()
                check_resources(self.config)  # by what Ray has got of the machine
                self._log_again_what_is_lost()
                self._train()
                self.interruption.stop_clock()
        except (StopRequested, RunStopped):
            ending = self.interruption.ending()
            assert ending is not None
            return ending
        except OSError as error:  # storage that is full, or gone
            return Ending.failed(said_of(error))
        except tune.TuneError as error:
            return Ending.failed(str(error))
        return self.interruption.ending() or Ending.finished()

    def _check_storage(self) -> None:
        try:
            check_shared_storage(self.folder.storage_path)
        except ValueError as error:
            raise SweepError(str(error)) from None

    def _log_again_what_is_lost(self) -> None:
        """The tracker's database may have been deleted since; what it held is in our files."""
        if self.resume and self.tracking.has_lost_the_sweep():
            self.tracking.log_all_again(self.experiments.all_found())

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
            self.plan.scheduler(),
            replay_arms=tuple(self.config.replay_arms()),
            stream=self.config.tune.stream,
            stop_requested=stop_requested,
            enough=self._stop_rule(),
        )
        crossed = crossed_with(self.plan, self.folder.history_root, self._store_name)
        algorithm, space = seed_first(
            self.plan.searcher(),
            num_samples=self.plan.num_samples,
            primary_arm=self.config.primary_arm(),
            max_concurrent=self._max_concurrent(),
            nearest_by=crossed.pop("seed_by"),
            random_state=self.config.tune.seeds[0],
            earlier=self._earlier(crossed["seed_configs"]),
            **crossed,
        )
        tune_config = tune.TuneConfig(
            metric=self.plan.metric,
            mode=self.plan.mode,
            search_alg=algorithm,
            scheduler=scheduler,
            reuse_actors=True,
        )
        self.experiments.fit(SEARCH, space, tune_config)

    def _earlier(self, seeds: list[dict[str, Any]]) -> Earlier | None:
        """What the search goes on from; a seed whose history is left by it does not run again."""
        found = self.plan.continued
        if found is None:
            return None
        there = [seed for seed in seeds if self.plan.history_of(seed) in found.histories]
        return with_histories(found, frozenset(history_name(seed) for seed in there))

    def _contest(self) -> None:
        """The ladder, then each rival by itself, on the same slots."""
        sessions, slots = Sessions(self.folder.location), limited(self.config, self.slots)
        root, store = self.folder.history_root, self._store_name
        algorithm, space = ladder_search(self.plan, root, store)
        settings = tune.TuneConfig(
            metric=self.plan.metric,
            mode=self.plan.mode,
            search_alg=algorithm,
            scheduler=SeedReplayScheduler(
                replay_arms=tuple(self.config.replay_arms()),
                stream=self.config.tune.stream,
                stop_requested=stop_requested,
            ),
            reuse_actors=True,
        )
        with sessions.running(LADDER, slots):
            self.experiments.fit(SEARCH, space, settings)
        for rival in self.config.rival_searches():
            settings, space = rival_search(self.plan, rival)
            with sessions.running(rival.name, slots):
                self.experiments.fit(rival_phase(rival.name), space, settings)

    def _stop_rule(self) -> StopRule | None:
        rule = self.config.tune.stop_when
        if rule is None:
            return None
        found = StopRule(
            self.plan.metric,
            self.plan.mode,
            self.config.primary_arm(),
            tuple(self.config.tune.seeds),
            self._all_points(),
            rule.change,
            rule.chance,
        )
        before = self.plan.continued
        for row in () if before is None else before.ended(found.arm):
            found.note(row, row)
        return found

    def _all_points(self) -> int:
        """Configurations that the search would have tried in the end, earlier ones among them."""
        before = self.plan.continued
        return configurations(self.plan) + (0 if before is None else len(before.earlier.points))

    def _max_concurrent(self) -> int | None:
        """What may be alive at once: with a rule to stop by, points are not drawn far ahead."""
        given = self.config.tune.max_concurrent
        if given is not None or self.config.tune.stop_when is None:
            return given
        return self.slots + 1

    def _follow_up(self) -> None:
        """Train what only the search's results could name.

        Replays of all seeds' histories together, matched seconds, and promotions.
        """
        trials, configs = self.experiments.searched()
        joint, joint_configs = self._with_earlier(trials, configs)
        planned = {
            COMPOSED: composed_configs(self.plan, trials, configs, self.folder.history_root),
            EARLY_STOP: early_stop_configs(self.config.named_arms(), trials, configs),
            PROMOTION: promotion_configs(self.plan, joint, joint_configs),
        }
        for phase, points in planned.items():
            if self.state.planned.get(phase) != fingerprint(points):  # an older version's plan
                points = self.experiments.left_to_train(phase, points)
            self._drop_what_others_planned(phase, points)
            if points:
                self.interruption.check()
                self._keep(self.state.plans(phase, points))
                tune_config = tune.TuneConfig(
                    search_alg=SearchGenerator(FixedPoints(points)),
                    scheduler=SeedReplayScheduler(replay_arms=(), stop_requested=stop_requested),
                    num_samples=len(points),
                    reuse_actors=True,
                )
                self.experiments.fit(phase, {}, tune_config)

    def _with_earlier(
        self, trials: pd.DataFrame, configs: dict[str, dict[str, Any]]
    ) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
        """The search's trials behind those of the searches that it goes on from."""
        found = self.plan.continued
        if found is None:
            return trials, configs
        base = self.plan.base_config()  # the data may lie elsewhere now
        today = {key: base[key] for key in ("data", "evaluation")}
        before = {trial_id: {**config, **today} for trial_id, config in found.configs.items()}
        searched = found.trials[found.trials["phase"] == SEARCH]
        return pd.concat([searched, trials], ignore_index=True), {**before, **configs}

    def _drop_what_others_planned(self, phase: str, points: list[dict[str, Any]]) -> None:
        """Set a phase aside whose trials were chosen by results that have changed since."""
        found = self.experiments.found(phase) if self.resume else None
        if found is None:
            return
        then = self.state.planned.get(phase)
        if then is not None:
            same = then == fingerprint(points)
        else:  # begun by an older version, which did not note what it planned
            wanted = {fingerprint(point) for point in points}
            same = all(fingerprint(trial.config) in wanted for trial in found.trials)
        if not same:
            ids = self.experiments.set_aside(phase)
            self.tracking.supersede(ids)
            self.console.print(
                f"The search's results have changed: {phase} is planned anew, and the "
                f"{len(ids)} trials of the old plan are set aside."
            )

    def _keep(self, state: SweepState) -> None:
        self.state = state
        state.write(self.folder.location)

    def _reported(self, ending: Ending) -> Ending:
        """Report, as far as the storage lets us; returns how the sweep ended after all."""
        try:
            return self._report(ending)
        except OSError as error:
            why = f"the report cannot be written: {said_of(error)}"
            ending = Ending.failed(why) if ending.is_finished else ending
            said = ending.sentence(left_out(ending, pd.DataFrame(), 0, self.folder))
            self.state = self.state.ended(ending, said if why in said else f"{said} ({why})")
            return ending

    def _report(self, ending: Ending) -> Ending:
        """Write tables and report, close the tracking; returns how the sweep ended after all."""
        trials, epochs = self.experiments.tables()
        lost = failed_arms(trials)
        if ending.is_finished and lost:
            ending = Ending.failed("; ".join(lost))
        said = ending.sentence(left_out(ending, trials, self.config.promote, self.folder))
        self._keep(self.state.ended(ending, said))
        if not len(trials):
            return ending  # nothing ever started; what ended it says why
        if self.config.tune.ladder is not None:
            trials = finish_contest(self.plan, self.folder.location, trials)
            if ending.is_finished:
                drop_weights(self.folder.location)
        self.folder.write_tables(trials, epochs)
        self.experiments.show_cells()
        self.folder.write_slots(self.experiments.stays())
        self.folder.add_run(self.began, time.time(), self.slots)
        self.folder.with_local_copy(lambda path: self._publish(path, ending))
        ended = self._late(ending)
        if ended is not ending:
            said = f"{ended.sentence()} Everything is trained, and the report is written."
            self._keep(self.state.ended(ended, said))
        return ended

    def _late(self, ending: Ending) -> Ending:
        """A sweep that is interrupted while its report is written has not finished."""
        late = self.interruption.ending()
        return late if ending.is_finished and late is not None else ending

    def _publish(self, folder: Path, ending: Ending) -> None:
        """Write the report into the results folder and hand it to the tracker."""
        if self.config.tune.stop_when is not None:
            planned = {"configurations": self._all_points()}
            Folder.at(folder).write(PLANNED_FILE, json.dumps(planned).encode())
        write_report(folder, self.plan, self.dataset, self.console)
        if self.tracking.saw_a_loss():
            self.tracking.log_all_again(self.experiments.all_found())
        self.tracking.finish(self._late(ending).mlflow_status, folder)
