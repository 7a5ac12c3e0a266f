"""From a configuration to a trial that is ready to train: its data, its task and its loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from trainables.arms.build import make_loop
from trainables.arms.plan import plan_arm
from trainables.loop.clock import PhaseClock
from trainables.loop.compiled import check_compile, compile_model
from trainables.loop.device import amp_dtype, choose_device
from trainables.loop.energy import EnergyCounter
from trainables.loop.handing_on import HandingOn
from trainables.loop.seeding import seed_global
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TrialSettings, parse_settings
from trainables.subject import Subject
from trainables.tasks.prepared import prepare_model
from trainables.tasks.task import Task
from tune_select.plain import plain


@dataclass(frozen=True)
class Built:
    """A trial that is ready to train.

    Attributes:
        settings: Its checked configuration.
        task: What it trains.
        loop: The loop around the task.
        startup_s: What building it took.
    """

    settings: TrialSettings
    task: Task
    loop: TrainingLoop
    startup_s: float


class Datasets:
    """Data sets by configuration: what the driver shares where that fits, else one loaded here.

    Args:
        subject: Loads them, and knows which fits.
        shared: What its ``load_dataset`` returned in the driver, or ``None``.
    """

    def __init__(self, subject: type[Subject], shared: Any) -> None:
        self._subject, self._shared = subject, shared
        self._loaded: Any = None

    def of(self, config: Mapping[str, Any], settings: TrialSettings) -> Any:
        """The data set of a trial, loaded where neither the shared nor the last one is it."""
        for dataset in (self._shared, self._loaded):
            if dataset is not None and self._subject.fits(dataset, settings):
                return dataset
        self._loaded = None  # free the old one before loading the new
        self._loaded = self._subject.load_dataset(config)
        return self._loaded


def build(
    subject: Subject,
    config: Mapping[str, Any],
    datasets: Datasets,
    *,
    counter_of: Callable[[TrialSettings, torch.device], EnergyCounter | None] = lambda *_: None,
    weights_of_others: Callable[[], HandingOn] | None = None,
) -> Built:
    """Build a trial; the global generators are seeded with its seed.

    Args:
        subject: What is trained.
        config: The trial's configuration, as a search gives it.
        datasets: Where its data come from.
        counter_of: Opens what counts its energy.
        weights_of_others: What the experiment's trials leave to each other, for ``start_from``.

    Raises:
        ValueError: Names the field, its value and the remedy.
    """
    began = time.perf_counter()
    config = plain(config)  # searchers and np.arange give NumPy's numbers
    settings = parse_settings(config, subject.defaults)
    check_compile(settings)
    device = choose_device(settings.device)
    # cuDNN's fastest kernels do not repeat themselves bit by bit; the same seed should.
    torch.backends.cudnn.deterministic = settings.deterministic
    torch.backends.cudnn.benchmark = not settings.deterministic
    seed_global(settings.seed, "initialisation", 0, device)
    task = task_of(subject, settings, datasets.of(config, settings), device)
    compile_model(task, settings)
    if settings.start_from:
        assert weights_of_others is not None
        weights_of_others().take(settings.start_from, task.model)
    clock = PhaseClock(device, counter_of(settings, device))
    loop = make_loop(task, settings, plan_arm(settings), clock, config)
    return Built(settings, task, loop, time.perf_counter() - began)


def task_of(subject: Subject, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
    """A subject's task as it is trained, but for compilation: weights loaded, parts frozen.

    Args:
        subject: Makes the task.
        settings: The trial's.
        dataset: What its ``load_dataset`` returned.
        device: Where to put the model and make batches.
    """
    task = subject.make_task(settings, dataset, device)
    task.amp_dtype = amp_dtype(settings.amp, device)
    task.head_name = settings.head
    prepare_model(task, settings.weights, settings.freeze)
    return task
