"""The end of a sweep: whatever ended it, its tables and its report are written, and it says how."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from analysis.results.stopped import PLANNED_FILE
from tune_select.storage import Folder
from tune_select.sweep.ending import Ending
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.state import KeptState
from tune_select.sweep.interruption import Interruption
from tune_select.sweep.ladder import drop_weights, finish_contest
from tune_select.sweep.phases.experiments import Experiments
from tune_select.sweep.phases.searching import all_points
from tune_select.sweep.plan import Plan
from tune_select.sweep.publication import failed_arms, left_out, write_report
from tune_select.sweep.tracking import SweepTracking
from tune_select.wording import said_of


@dataclass(frozen=True)
class Closing:
    """Reports a sweep.

    Attributes:
        plan: The plan of the sweep.
        folder: Its results folder.
        dataset: What all trials shared, for the report's pictures.
        experiments: Reads the trials back.
        state: The state of the sweep, which notes how it ended.
        tracking: Where trials are logged.
        interruption: Knows whether the sweep was told to stop, while its report is written too.
        console: The terminal.
        began: When this run of the sweep began, in seconds since 1970.
    """

    plan: Plan
    folder: ResultsFolder
    dataset: Any
    experiments: Experiments
    state: KeptState
    tracking: SweepTracking
    interruption: Interruption
    console: Console
    began: float

    def report(self, ending: Ending, slots: int) -> Ending:
        """Report, as far as the storage lets us; returns how the sweep ended after all.

        Args:
            ending: How its training ended.
            slots: How many trials the cluster ran at once.
        """
        try:
            return self._report(ending, slots)
        except OSError as error:
            why = f"the report cannot be written: {said_of(error)}"
            ending = Ending.failed(why) if ending.is_finished else ending
            said = ending.sentence(left_out(ending, pd.DataFrame(), 0, self.folder))
            # Held in memory alone: where the report cannot be written, nor can this be.
            self.state.now = self.state.now.ended(
                ending, said if why in said else f"{said} ({why})"
            )
            return ending

    def _report(self, ending: Ending, slots: int) -> Ending:
        """Write tables and report, close the tracking; returns how the sweep ended after all."""
        trials, epochs = self.experiments.tables()
        lost = failed_arms(trials)
        if ending.is_finished and lost:
            ending = Ending.failed("; ".join(lost))
        said = ending.sentence(left_out(ending, trials, self.plan.config.promote, self.folder))
        self.state.becomes(self.state.now.ended(ending, said))
        if not len(trials):
            return ending  # nothing ever started; what ended it says why
        if self.plan.config.tune.ladder is not None:
            trials = finish_contest(self.plan, self.folder.location, trials)
            if ending.is_finished:
                drop_weights(self.folder.location)
        self.folder.write_tables(trials, epochs)
        self.experiments.show_cells()
        self.folder.write_slots(self.experiments.stays())
        self.folder.add_run(self.began, time.time(), slots)
        self.folder.with_local_copy(lambda path: self._publish(path, ending))
        ended = self._late(ending)
        if ended is not ending:
            said = f"{ended.sentence()} Everything is trained, and the report is written."
            self.state.becomes(self.state.now.ended(ended, said))
        return ended

    def _late(self, ending: Ending) -> Ending:
        """A sweep that is interrupted while its report is written has not finished."""
        late = self.interruption.ending()
        return late if ending.is_finished and late is not None else ending

    def _publish(self, folder: Path, ending: Ending) -> None:
        """Write the report into the results folder and hand it to the tracker."""
        if self.plan.config.tune.stop_when is not None:
            planned = {"configurations": all_points(self.plan)}
            Folder.at(folder).write(PLANNED_FILE, json.dumps(planned).encode())
        write_report(folder, self.plan, self.dataset, self.console)
        if self.tracking.saw_a_loss():
            self.tracking.log_all_again(self.experiments.all_found())
        self.tracking.finish(self._late(ending).mlflow_status, folder)
