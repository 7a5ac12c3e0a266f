"""A sweep's MLflow run, or nothing at all where tracking is off."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from ray.tune import Callback, ExperimentAnalysis
from ray.tune.experiment import Trial

from analysis.questions.occupancy import wall_clock
from analysis.results.ray_folder import flat
from analysis.results.slots import load_runs, load_stays
from tune_select.arms import final_settings
from tune_select.secrets import mask_settings
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.folder.result_log import reports_of
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.shared import SAME_AS, Cell, id_of
from tune_select.sweep.folder.slot_times import REPORTED, STARTED
from tune_select.sweep.outlook.points import sample_points
from tune_select.sweep.plan import Plan
from tune_select.sweep.preflight.trials import examples
from tune_select.tracking.events import trial_params

if TYPE_CHECKING:
    from tune_select.tracking import PastTrial

_ARTIFACTS = ("sweep.yaml", "report.html", "tables", "figures", "history")
_TRIAL_ARTIFACTS = ("histograms.parquet", "selection_trace.parquet", "losses.parquet")


@dataclass(frozen=True)
class SweepTracking:
    """Where a sweep is tracked.

    Attributes:
        target: Keyword arguments that every call to the tracker shares; ``None`` when off.
        folder: The results folder.
        params: The resolved sweep, logged as the parent run's parameters.
        constant: Names of trials' parameters that are the same in all, which the parent run's
            parameters say already.
    """

    target: dict[str, Any] | None
    folder: ResultsFolder
    params: dict[str, Any]
    constant: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, config: SweepConfig, folder: ResultsFolder, constant: frozenset[str] = frozenset()
    ) -> SweepTracking:
        """The tracking that a sweep asks for.

        Args:
            config: The sweep.
            folder: Its results folder.
            constant: Its ``constant_params``.

        Raises:
            SweepError: The default store cannot lie in the results folder.
        """
        params = mask_settings(config.model_dump(mode="json", exclude={"tracking"}))
        if config.tracking is False:
            return cls(None, folder, params)
        uri = config.tracking.uri
        if uri is None and not folder.is_local:
            raise SweepError(
                f"tracking.uri is null, which means a sqlite file in the results folder, but "
                f"{folder.location} is not on this machine; set tracking.uri to an MLflow server, "
                "or tracking: false"
            )
        if uri is None:
            from tune_select.tracking import sqlite_uri

            uri = sqlite_uri(f"{folder.location}/mlflow.db")
        target = {
            "tracking_uri": uri,
            "experiment": config.tracking.experiment or config.name,
            "sweep": config.name,
            "sweep_id": str(config.sweep_id),
            "folder": folder.location if folder.is_local else None,
        }
        return cls(target, folder, params, constant)

    def callbacks(self, phase: str) -> list[Callback]:
        """The tracker of one phase's trials; the parent run stays open for the next phase."""
        if self.target is None:
            return []
        from tune_select.tracking import MLflowCallback

        return [
            MLflowCallback(
                **self.target,
                params=self.params,
                constant=self.constant,
                trial_tags={"phase": phase},
                artifacts=_TRIAL_ARTIFACTS,
                finish_at_end=False,
            )
        ]

    def has_lost_the_sweep(self) -> bool:
        """Whether the tracker answers and lacks what was logged before."""
        if self.target is None:
            return False
        from tune_select.tracking import knows_sweep

        names = ("tracking_uri", "experiment", "sweep_id", "folder")
        return knows_sweep(**{name: self.target[name] for name in names}) is False

    def saw_a_loss(self) -> bool:
        """Whether the tracker lost what it had while the sweep was running; it is not asked."""
        if self.target is None:
            return False
        from tune_select.tracking.rejected import is_lost

        return is_lost(self._spool)

    def log_all_again(self, experiments: Iterable[tuple[str, ExperimentAnalysis]]) -> None:
        """Log everything that the tracker has lost.

        Args:
            experiments: The experiments of the sweep, by phase.
        """
        from tune_select.tracking.rejected import forget_lost

        for phase, found in experiments:
            self.log_again(found, phase)
        if self.target is not None:
            forget_lost(self._spool)

    @property
    def _spool(self) -> Path:
        from tune_select.tracking import default_spool_folder
        from tune_select.tracking.link import spool_of

        assert self.target is not None
        return spool_of(self.target["folder"] or default_spool_folder(self.target["sweep_id"]))

    def log_again(self, found: ExperimentAnalysis, phase: str) -> None:
        """Log the trials of an experiment that the tracker has lost."""
        if self.target is None:
            return
        from tune_select.tracking import log_past_trials

        reports = reports_of(found)
        trials = [_past(trial, reports[trial.trial_id]) for trial in found.trials]
        tags = {"phase": phase}
        log_past_trials(trials, **self.target, trial_tags=tags, constant=self.constant)

    def show(self, cells: Sequence[Cell], found: ExperimentAnalysis, phase: str) -> None:
        """Give each cell that another trial stands for a run of its own, which says so.

        Args:
            cells: The cells of one phase.
            found: The experiment whose trials they share.
            phase: Theirs.
        """
        if self.target is None or not cells:
            return
        from tune_select.tracking import log_past_trials

        reports = reports_of(found)
        trials = {str(trial.trial_id): trial for trial in found.trials}
        shown = [_shown(cell, trials[cell.same_as], reports[cell.same_as]) for cell in cells]
        whole = [trial for trial in shown if trial.status is not None]
        tags = {"phase": phase}
        log_past_trials(whole, **self.target, trial_tags=tags, constant=self.constant)

    def supersede(self, trial_ids: list[str]) -> None:
        """Tag the runs of trials that a changed plan has set aside."""
        if self.target is None or not trial_ids:
            return
        from tune_select.tracking import default_spool_folder, log_to_sweep_run

        folder = self.target["folder"] or default_spool_folder(self.target["sweep_id"])
        log_to_sweep_run(
            **{**self.target, "folder": folder},
            trial_tags={trial: {"superseded": "true"} for trial in trial_ids},
            status=None,
        )

    def finish(self, status: str, folder: Path) -> None:
        """Add the report and its parts to the parent run and close it."""
        if self.target is None:
            return
        from tune_select.tracking import headline_metrics, log_to_sweep_run

        runs, stays = load_runs(folder / "runs.json"), load_stays(folder / "slots.parquet")
        names = [name for name in _ARTIFACTS if (folder / name).exists()]
        log_to_sweep_run(
            **{**self.target, "folder": folder},
            names=names,
            metrics=headline_metrics(folder, wall_clock(runs, stays)),
            params=self.params,  # where the run had to be made anew
            status=status,
        )


def constant_params(plan: Plan) -> frozenset[str]:
    """Names of trials' parameters that no two trials of a sweep set to different values.

    Args:
        plan: The plan of the sweep. Every listed value of every axis is looked at in every arm;
            what lies under an axis, what a define-by-run space sets and what population-based
            training may change count as varying in any case, and so do configuration and training
            seed.
    """
    values: dict[str, set[str]] = {}
    for _, config in examples(plan):
        for name, value in trial_params(config).items():
            values.setdefault(name, set()).add(value)
    drawn = () if plan.space.define_by_run is None else sample_points(plan)[0]
    varying = {"arm", "configuration", "seed", *plan.space.axes, *itertools.chain(*drawn)}
    varying |= set(plan.config.tune.scheduler_options.get("hyperparam_mutations") or ())
    under = tuple(f"{axis.replace('.', '/')}/" for axis in varying)
    return frozenset(
        name
        for name, found in values.items()
        if len(found) == 1 and not f"{name}/".startswith(under)
    )


def _shown(cell: Cell, source: Trial, reports: pd.DataFrame) -> PastTrial:
    past = _past(source, reports)
    own = {key: value for key, value in flat(final_settings(cell.config)) if key in past.varied}
    return replace(
        past,
        trial_id=id_of(cell),
        config=cell.config,
        varied={**past.varied, **own},
        tags={SAME_AS: cell.same_as},
    )


def _past(trial: Trial, reports: pd.DataFrame) -> PastTrial:
    from tune_select.tracking import PastTrial

    status = {Trial.TERMINATED: "FINISHED", Trial.ERROR: "FAILED"}.get(trial.status)
    told = reports.drop(columns=[STARTED, REPORTED], errors="ignore")  # of the log alone
    rows = (row.dropna().to_dict() for _, row in told.iterrows())
    varied = trial.evaluated_params or {}
    return PastTrial(trial.trial_id, trial.config, varied, tuple(rows), status)
