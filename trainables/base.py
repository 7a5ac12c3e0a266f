"""The Ray shell around the training loop: arms, checkpoints, actor reuse."""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.fs
import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from trainables.arms.build import check_arm, make_source, make_stage
from trainables.arms.cost import Bench, Beside, cost_of
from trainables.arms.plan import plan_arm
from trainables.arms.rehearsal import rehearse_task
from trainables.data.description import identity_line
from trainables.data.settings.base import DataSettings
from trainables.loop.clock import PhaseClock
from trainables.loop.compiled import check_compile, compile_model
from trainables.loop.device import amp_dtype, choose_device
from trainables.loop.energy import EnergyCounter, open_counter
from trainables.loop.epoch_records import EpochRecords, trace_rows
from trainables.loop.forgetting import ForgettingRecorder
from trainables.loop.handing_on import HandingOn
from trainables.loop.optim import make_optimizer, make_schedule
from trainables.loop.reports import Reports
from trainables.loop.seeding import seed_global
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TRAINING_KEYS, TrialSettings, parse_settings
from trainables.tasks.prepared import prepare_model
from trainables.tasks.task import Task
from tune_select.plain import plain
from tune_select.reporting import Reporting, packed

CHECKPOINT_FILE = "trial.pt"
TRACE_FILE = "selection_trace.parquet"
"""Scalars of a mini-batch selector per iteration, in the trial's folder of the results."""
LOSSES_FILE = "losses.parquet"
"""Losses of single examples after the epochs of ``evaluation.record_losses``, beside it."""


class SelectionTrainable(tune.Trainable):
    """A class trainable whose subclass says what is trained, and nothing else.

    A subclass implements ``make_task``, usually ``load_dataset``, and may set ``defaults``.

    Attributes:
        metric: Name of the task's metric, reported as ``val_<metric>`` and ``test_<metric>``.
        mode: Whether a larger metric is better (``max``) or a smaller one (``min``).
        defaults: Values in place of the paper's defaults, and keys of the subclass's own with
            theirs; those reach ``make_task`` in ``settings.extra``.
        hands_on_weights: Whether trials heed ``start_from`` and ``leave_weights``, which a warm
            ladder needs.
        data_settings: Knows the keys of ``data`` that this class's ``load_dataset`` reads; ``None``
            where nothing is known of them.
        settings: The trial's checked configuration.
        task: The trial's task.
    """

    metric: ClassVar[str] = "accuracy"
    mode: ClassVar[Literal["min", "max"]] = "max"
    defaults: ClassVar[Mapping[str, Any]] = {}
    hands_on_weights: ClassVar[bool] = True
    data_settings: ClassVar[type[DataSettings] | None] = None
    settings: TrialSettings
    task: Task
    _reporting: Reporting | None = None
    _reports: Reports
    _failure: Exception | None = None

    @abstractmethod
    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """Build the trial's task; the global generators are seeded with the trial's seed.

        Args:
            settings: The trial's checked configuration.
            dataset: What ``load_dataset`` returned, here or (shared) in the driver.
            device: Where to put the model and make batches.
        """

    @classmethod
    def load_dataset(cls, config: Mapping[str, Any]) -> Any:
        """Load what all trials with this ``data`` share; ``None`` when each makes its own.

        ``tune.with_parameters(Cls, dataset=Cls.load_dataset(config))`` loads it once for all
        trials; otherwise each actor loads it once. Its ``identity`` attribute, if it has one, is
        the training split's ``DatasetIdentity``.

        Args:
            config: A trial configuration, of which ``data`` is read.
        """
        return None

    @classmethod
    def describe(cls, dataset: Any) -> list[str]:
        """Lines for people on what ``load_dataset`` returned: sizes, classes, what was left out."""
        identity = getattr(dataset, "identity", None)
        return [] if identity is None else [identity_line(identity)]

    @classmethod
    def fits(cls, dataset: Any, settings: TrialSettings) -> bool:
        """Whether a shared data set is the one that the trial's ``settings.data`` describes.

        Where it is not (a search over data settings), the trial loads its own.
        """
        loaded = getattr(dataset, "settings", None)
        if cls.data_settings is None or not isinstance(loaded, cls.data_settings):
            return True
        return loaded.same_examples(cls.data_settings.of(settings.data))

    @classmethod
    def setting_names(cls) -> frozenset[str]:
        """The keys of a sweep's ``train``, which any arm may set for itself too."""
        return (TRAINING_KEYS | set(cls.defaults)) - {"data", "selection"}

    @classmethod
    def check(cls, config: Mapping[str, Any], dataset: Any = None) -> TrialSettings:
        """Find what is wrong with a configuration before a trial starts.

        Args:
            config: A trial's configuration; values that are still search domains must be resolved.
            dataset: What ``load_dataset`` returned, to check the arm against its identity.

        Raises:
            ValueError: Names the field, its value and the remedy.
        """
        config = plain(config)
        settings = parse_settings(config, cls.defaults)
        if cls.data_settings is not None and cls._loads_by_its_settings():
            cls.data_settings.of(settings.data)
        check_compile(settings)
        check_arm(settings, config, getattr(dataset, "identity", None))
        return settings

    @classmethod
    def _loads_by_its_settings(cls) -> bool:
        """Whether ``load_dataset`` is that of the class whose ``data_settings`` these are.

        A subclass may load something else, and read other keys.
        """
        owners = [
            next(owner for owner in cls.__mro__ if name in vars(owner))
            for name in ("data_settings", "load_dataset")
        ]
        return issubclass(owners[0], owners[1])

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
        trial = object.__new__(cls)
        trial._shared, trial._loaded = dataset, None
        device = choose_device(settings.device)

        def make() -> Task:
            return trial._task(settings, trial._dataset(config, settings), device)

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
            threads: That PyTorch may use meanwhile; as many as the trial will have.
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
            trial = object.__new__(cls)
            trial._shared, trial._loaded = dataset, None

            def build(wanted: Mapping[str, Any]) -> tuple[Task, TrainingLoop]:
                trial._build(wanted)
                return trial.task, trial._loop

            bench = Bench(build, {} if measured is None else measured, beside)
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
        self._shared = dataset
        self._loaded: Any = None
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
        self._write_records()
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
            rows: With a column ``epoch``; those of an epoch that is repeated replace the old ones.
                They are written with the report of their epoch.
        """
        self._unwritten.setdefault(name, []).append(rows)
        if self._reporting is None:
            self._write_records()

    def _write_records(self) -> None:
        """Write what the epochs of a report recorded: once, since a file is written as a whole."""
        for name, rows in self._unwritten.items():
            if name not in self._records:
                self._records[name] = EpochRecords(*self._results_folder(), name)
            self._records[name].append(pa.concat_tables(rows, promote_options="default"))
        self._unwritten.clear()

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
        began = time.perf_counter()
        self._make(config)
        self._failure = None
        self._reports = Reports(self._reporting or Reporting(), time.monotonic())
        self._startup_s = time.perf_counter() - began

    def _one_epoch(self) -> dict[str, Any]:
        """``step``, with what Tune adds to its report."""
        report: dict[str, Any] = super().train()  # type: ignore[no-untyped-call]
        return report

    def _make(self, config: Mapping[str, Any]) -> None:
        config = plain(config)  # searchers and np.arange give NumPy's numbers
        settings = parse_settings(config, self.defaults)
        check_compile(settings)
        device = choose_device(settings.device)
        # cuDNN's fastest kernels do not repeat themselves bit by bit; the same seed should.
        torch.backends.cudnn.deterministic = settings.deterministic
        torch.backends.cudnn.benchmark = not settings.deterministic
        seed_global(settings.seed, "initialisation", 0, device)
        self.settings = settings
        self._records: dict[str, EpochRecords] = {}
        self._unwritten: dict[str, list[pa.Table]] = {}  # of the epochs since the last report
        self.task = self._task(settings, self._dataset(config, settings), device)
        compile_model(self.task, settings)
        if settings.start_from:
            self._weights().take(settings.start_from, self.task.model)
        plan = plan_arm(settings)
        clock = PhaseClock(device, self._counter(settings, device))
        self._loop = TrainingLoop(
            self.task,
            make_source(self.task, settings, plan, clock, config),
            make_optimizer(self.task, settings),
            make_schedule(settings, plan.epochs),
            settings,
            epochs=plan.epochs,
            time_budget_s=plan.time_budget_s,
            clock=clock,
            stage=make_stage(self.task, settings, plan, clock),
            stage_from_epoch=plan.warm_start_epochs,
            forgetting=(
                None
                if settings.forgetting_record is None
                else ForgettingRecorder(self.task, settings.forgetting_record)
            ),
        )

    def _task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """The task as it is trained, but for compilation."""
        task = self.make_task(settings, dataset, device)
        task.amp_dtype = amp_dtype(settings.amp, device)
        task.head_name = settings.head
        prepare_model(task, settings.weights, settings.freeze)
        return task

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

    def _dataset(self, config: Mapping[str, Any], settings: TrialSettings) -> Any:
        for dataset in (self._shared, self._loaded):
            if dataset is not None and self.fits(dataset, settings):
                return dataset
        self._loaded = None  # free the old one before loading the new
        self._loaded = self.load_dataset(config)
        return self._loaded

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
