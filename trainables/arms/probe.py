"""What steps, evaluation and checkpoints of a trial take: a few of each, timed."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from trainables.loop.sources import Examples
from trainables.loop.training_loop import TrainingLoop
from trainables.tasks.look import Look
from trainables.tasks.task import Task

_TIMED_S = 0.6  # of training steps for each kind of trial, where steps are not dearer than that
_FEWEST, _MOST = 9, 300  # training steps that are timed in any case, and at the most
_EVALUATED_S = 0.3  # of evaluation
_REPEATS = 3  # of what is timed as often as that alone: evaluation, checkpoints

Seconds = tuple[float, float, float]
"""Least, mean and most of what was measured, or what follows from it.

The mean, since a trial's seconds are a sum: where some steps are held up, so are some of its own.
"""


@dataclass(frozen=True)
class Units:
    """Measured seconds of what a trial is made of, each as (least, mean, most).

    Attributes:
        epoch: What an epoch takes besides its steps.
        step: A training step on a whole batch.
        example: Evaluating one example.
        startup: Building the trial's model and optimizer; its data are loaded already.
        checkpoint: Writing what a checkpoint holds to a local disk.
    """

    epoch: Seconds
    step: Seconds
    example: Seconds
    startup: Seconds
    checkpoint: Seconds = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class StepPlan:
    """Which runs of training steps are timed.

    The time of a step is the difference between a long run and a short one over the difference of
    their steps, so that what an epoch takes besides its steps cancels.

    Attributes:
        few: Steps of the short run.
        more: Steps of the long one.
        repeats: How often both are timed.
    """

    few: int
    more: int
    repeats: int

    @classmethod
    def of(cls, step_s: float, longest: int) -> StepPlan:
        """About a second of steps, but some in any case: of dear steps few, of cheap ones many.

        Args:
            step_s: What a step takes, roughly.
            longest: Steps of a whole epoch, at least 1, which no run exceeds.
        """
        steps = min(_MOST, max(_FEWEST, int(_TIMED_S / max(step_s, 1e-9))))
        few = 1 if steps < 30 else 2
        more = max(few + 1, min(2 if steps < 12 else 10, longest))
        return cls(few, more, max(3, steps // (few + more)))


def measure_units(task: Task, loop: TrainingLoop, batch_size: int, startup_s: float) -> Units:
    """Time a few steps and a little evaluation; the model has been trained by them afterwards.

    Args:
        task: The trial's.
        loop: Around it.
        batch_size: Examples per step.
        startup_s: How long building the trial took.
    """

    # From all over the set, as an epoch's: neighbours lie together in the processor's cache.
    order = torch.randperm(task.train_size, generator=torch.Generator().manual_seed(0))

    def train(steps: int) -> Callable[[], None]:
        return lambda: loop.practise(Examples(order[: steps * batch_size]))

    train(1)()  # the first steps pay for what later ones find ready
    plan = StepPlan.of(_timed(task.device, train(2)) / 2, max(1, task.train_size // batch_size))
    runs = [
        [_timed(task.device, train(steps)) for steps in (plan.few, plan.more)]
        for _ in range(plan.repeats)
    ]
    few, many = (min(k * batch_size, task.train_size) / batch_size for k in (plan.few, plan.more))
    if many > few:
        step = [max(0.0, long - short) / (many - few) for short, long in runs]
    else:
        step = [long / many for _, long in runs]
    middle = statistics.fmean(step)
    epoch = [max(0.0, short - few * middle) for short, _ in runs]
    return Units(
        _spread(epoch), _spread(step), _example(task), (startup_s,) * 3, _checkpoint(task, loop)
    )


def _checkpoint(task: Task, loop: TrainingLoop) -> Seconds:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.pt"
        return _spread(
            [
                _timed(task.device, lambda: torch.save(loop.state_dict(), path))
                for _ in range(_REPEATS)
            ]
        )


def _example(task: Task) -> Seconds:
    """Seconds of evaluating one example, in batches of the task's own size."""
    for split in ("validation", "test", "train"):
        try:
            size = len(task.split_labels(split))
        except ValueError:
            continue
        if size:
            break
    else:
        return (0.0, 0.0, 0.0)
    look = Look(torch.arange(min(size, task.eval_batch_size)))

    def evaluate() -> None:
        task.look = look
        try:
            task.evaluate(split)
        finally:
            task.look = None

    assert look.positions is not None
    first_s = _timed(task.device, evaluate)
    if not look.heeded:  # it sees the whole split whatever is asked: once more is enough
        return _spread([_timed(task.device, evaluate) / size])
    repeats = _REPEATS if _REPEATS * first_s <= _EVALUATED_S else 1
    batches = math.ceil(_EVALUATED_S / repeats / max(first_s, 1e-9))
    look.positions = torch.arange(min(size, batches * task.eval_batch_size))
    seen = len(look.positions)
    return _spread([_timed(task.device, evaluate) / seen for _ in range(repeats)])


def _timed(device: torch.device, work: Callable[[], None]) -> float:
    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = now()
    work()
    return now() - start


def _spread(values: list[float]) -> Seconds:
    return min(values), statistics.fmean(values), max(values)
