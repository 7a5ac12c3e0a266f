"""The Ray shell around the training loop: reports, checkpoints, actor reuse."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from trainables.arms.cost import Bench, Beside, cost_of
from trainables.arms.rehearsal import rehearse_task
from trainables.building import Datasets, build, task_of
from trainables.loop.device import choose_device
from trainables.loop.energy import EnergyCounter, open_counter
from trainables.loop.epoch_records import TrialRecords, trace_rows
from trainables.loop.handing_on import HandingOn
from trainables.loop.reports import Reports
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TrialSettings
from trainables.subject import Subject
from trainables.tasks.task import Task
from tune_select.reporting import Reporting, packed

CHECKPOINT_FILE = "trial.pt"
TRACE_FILE = "selection_trace.parquet"
"""Scalars of a mini-batch selector per iteration, in the trial's folder of the results."""
LOSSES_FILE = "losses.parquet"
"""Losses of single examples after the epochs of ``evaluation.record_losses``, beside it."""


class SelectionTrainable(Subject, tune.Trainable):
    """A class trainable whose subclass says what is trained, and nothing else: see ``Subject``.

    Attributes:
        settings: The trial's checked configuration.
        task: The trial's task.
    """

    settings: TrialSettings
    task: Task
    _reporting: Reporting | None = None
    _reports: Reports
    _failure: Exception | None = None

    @classmethod
    def rehearse(
        cls,
        config: Mapping[str, Any],
        dataset: Any = None,
        seen: dict[str, dict[str, Any]] | None = None,
    ) -> dict[str, Any] | None:
        """Build what a trial names and pass one batch through it, without training anything.

        Args:
            config: A trial's configuration.
            dataset: What ``load_dataset`` returned; loaded here where it is not given.
            seen: Keeps what was found, for further calls: each distinct model is built once.

        Returns:
            A row for people, see ``arms.rehearsal``; ``None`` for a model that was seen before.

        Raises:
            ValueError: What the trial would fail of.
        """
        settings = cls.check({**config, "energy": False}, dataset)
        datasets, device = Datasets(cls, dataset), choose_device(settings.device)

        def make() -> Task:
            return task_of(object.__new__(cls), settings, datasets.of(config, settings), device)

        return rehearse_task(make, settings, {} if seen is None else seen)

    @classmethod
    def forecast(
        cls,
        config: Mapping[str, Any],
        dataset: Any = None,
        measured: dict[str, Any] | None = None,
        *,
        threads: int | None = None,
        reporting: Reporting | None = None,
        beside: Beside = nullcontext,
    ) -> dict[str, tuple[float, float, float]]:
        """What a trial will cost on this machine, from a few measured steps.

        Args:
            config: A trial's configuration.
            dataset: What ``load_dataset`` returned; loaded here where it is not given.
            measured: Keeps what was measured, for further calls: trials whose model, batch size,
                optimizer and data are the same are measured once.
            threads: Threads that PyTorch may use meanwhile; as many as the trial will have.
            reporting: When the trial will report and be saved; after every epoch, and never, where
                it is not given.
            beside: Called with a configuration whenever something is measured: a context in which
                the machine is as busy as it will be.

        Returns:
            Seconds by phase (``startup``, ``train``, ``select``, ``eval``, ``reports``), each as
            the least, the likely and the most.

        Raises:
            ValueError: The configuration is wrong.
        """
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            settings = cls.check({**config, "energy": False}, dataset)
            datasets = Datasets(cls, dataset)

            def built(wanted: Mapping[str, Any]) -> tuple[Task, TrainingLoop]:
                trial = build(object.__new__(cls), wanted, datasets)
                return trial.task, trial.loop

            bench = Bench(built, {} if measured is None else measured, beside)
            return cost_of(config, settings, bench, reporting)
        finally:
            torch.set_num_threads(before)

    def setup(
        self, config: dict[str, Any], dataset: Any = None, reporting: Reporting | None = None
    ) -> None:
        """Build the trial; called by Ray Tune.

        Args:
            config: The trial's.
            dataset: What ``load_dataset`` returned, where the driver shares it.
            reporting: When the trial reports and is saved; after every epoch, and whenever Tune
                says, where it is not given.
        """
        self._datasets = Datasets(type(self), dataset)
        self._reporting = reporting
        self._build(config)

    def train(self) -> dict[str, Any]:
        """Train until a report is due, which may be several epochs; called by Ray Tune.

        Returns:
            The last epoch's report, those before it packed into it; see ``tune_select.reporting``.

        Raises:
            Exception: Whatever ended the training, once the epochs before it are reported.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._reporting is None:
            return self._one_epoch()
        self._reports.begins(time.monotonic())
        done = [self._one_epoch()]
        while not self._reports.is_due(done[-1], time.monotonic()):
            try:
                done.append(self._one_epoch())
            except Exception as failure:
                self._failure = failure
                break
        self._records.write()
        saves = self._failure is None and self._reports.saves(done[-1], time.monotonic())
        self._reports.sent(done[-1])
        return packed([*done[:-1], {**done[-1], SHOULD_CHECKPOINT: saves}])

    def step(self) -> dict[str, Any]:
        """Train one epoch, or report which interval it waits for."""
        report = self._loop.run_epoch()
        report["done"] = self._loop.finished
        report["startup_s"] = self._startup_s
        if report["done"] and self.settings.leave_weights:
            self._weights().leave(str(self.trial_id), self.task.model)
        trace = self._loop.trace()
        if trace:
            self.record(TRACE_FILE, trace_rows(report["epoch"], trace))
        losses = self._loop.loss_records()
        if losses is not None:
            self.record(LOSSES_FILE, losses)
        return report

    def record(self, name: str, rows: pa.Table) -> None:
        """Add an epoch's rows to a Parquet file in the trial's folder of the results.

        Args:
            name: The name of the file.
            rows: The rows with a column ``epoch``; those of an epoch that is repeated replace the
                old ones. They are written with the report of their epoch.
        """
        self._records.add(name, rows)
        if self._reporting is None:
            self._records.write()

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Save the trial where Tune keeps it, and note what that cost; called by Ray Tune."""
        began_s = time.monotonic()
        saved = super().save(checkpoint_dir)
        now_s = time.monotonic()
        self._reports.saved(now_s, now_s - began_s)
        return saved

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write everything that a bit-identical continuation needs."""
        torch.save(self._loop.state_dict(), Path(checkpoint_dir) / CHECKPOINT_FILE)

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Go on from a checkpoint, this trial's or (population-based training) another's."""
        path = Path(checkpoint_dir) / CHECKPOINT_FILE
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._loop.load_state_dict(state)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial without a new process."""
        self._release()
        self._build(new_config)
        return True

    def cleanup(self) -> None:
        """Free the device; called by Ray Tune."""
        self._release()

    def _build(self, config: Mapping[str, Any]) -> None:
        self._records = TrialRecords(self._results_folder)
        built = build(
            self, config, self._datasets, counter_of=self._counter, weights_of_others=self._weights
        )
        self.settings, self.task, self._loop = built.settings, built.task, built.loop
        self._startup_s = built.startup_s
        self._failure = None
        self._reports = Reports(self._reporting or Reporting(), time.monotonic())

    def _one_epoch(self) -> dict[str, Any]:
        """``step``, with what Tune adds to its report."""
        report: dict[str, Any] = super().train()  # type: ignore[no-untyped-call]
        return report

    def _results_folder(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The trial's folder in the results, on whatever filesystem; its own when used alone."""
        storage = getattr(self, "_storage", None)
        if storage is None:
            return pyarrow.fs.LocalFileSystem(), str(self.logdir)
        return storage.storage_filesystem, str(storage.trial_fs_path)

    def _weights(self) -> HandingOn:
        """What the experiment's trials leave to each other."""
        filesystem, folder = self._results_folder()
        return HandingOn(filesystem, folder.rstrip("/").rpartition("/")[0])

    def _counter(self, settings: TrialSettings, device: torch.device) -> EnergyCounter | None:
        if not settings.energy:
            return None
        if self.trial_resources is None:  # used without Tune, so without neighbours
            return open_counter(device)
        amounts = self.trial_resources.required_resources
        return open_counter(
            device,
            whole_gpu=float(amounts.get("GPU", 0)).is_integer(),
            whole_machine=amounts.get("CPU", 0) >= (os.cpu_count() or 1),
        )

    def _release(self) -> None:
        """Drop the trial's tensors, so that the next one finds an empty device."""
        self.__dict__.pop("_loop", None)
        self.__dict__.pop("task", None)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
