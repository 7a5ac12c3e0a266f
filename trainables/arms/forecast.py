"""What a trial will cost, from a few measured steps and from counts that are known beforehand."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from trainables.arms.plan import ArmPlan
from trainables.loop.looks import LookBudget
from trainables.loop.sources import Examples
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TrialSettings
from trainables.tasks.look import Look, fixed_part
from trainables.tasks.task import Task

_FEW, _MORE = 2, 10  # steps of the two runs whose difference is ten and two steps' time
_REPEATS = 5
_EVALUATED = 3  # batches of evaluation that are timed at the most

Seconds = tuple[float, float, float]
"""Least, median and most of what was measured, or what follows from it."""


@dataclass(frozen=True)
class Units:
    """Measured seconds of what training is made of, each as (least, median, most).

    Attributes:
        epoch: What an epoch takes besides its steps.
        step: A training step on a whole batch.
        example: Evaluating one example.
        startup: Building the trial's model and optimizer; its data are loaded already.
    """

    epoch: Seconds
    step: Seconds
    example: Seconds
    startup: Seconds


@dataclass(frozen=True)
class Work:
    """How much a trial does.

    Attributes:
        steps: The steps of each epoch, in batches; the last one counts as the part of a batch that
            it is.
        examples: Trained on (of mini-batch selectors: looked at), of each epoch.
        selections: How often it selects from the whole training set.
    """

    steps: tuple[float, ...]
    examples: tuple[int, ...]
    selections: int


def work_of(settings: TrialSettings, plan: ArmPlan, train_size: int) -> Work:
    """What a trial does if nothing stops it.

    Args:
        settings: The trial's settings.
        plan: What its arm stands for.
        train_size: n, training examples.
    """
    whole = plan.kind in ("full", "mini_batch")
    subset = train_size if whole else max(1, round(plan.selection.fraction * train_size))
    warm = min(plan.epochs, plan.warm_start_epochs)
    examples = (train_size,) * warm + (subset,) * (plan.epochs - warm)
    selecting = plan.kind in ("seed", "selector")
    every = plan.selection.select_every
    return Work(
        tuple(count / settings.batch_size for count in examples),
        examples,
        math.ceil((plan.epochs - warm) / every) if selecting else 0,
    )


def measure_units(task: Task, loop: TrainingLoop, batch_size: int, startup_s: float) -> Units:
    """Time a few steps and a little evaluation; the model has been trained by them afterwards.

    Args:
        task: The trial's.
        loop: Around it.
        batch_size: Examples per step.
        startup_s: How long building the trial took.
    """

    def train(steps: int) -> Callable[[], None]:
        size = min(task.train_size, steps * batch_size)
        indices = torch.arange(steps * batch_size) % task.train_size
        return lambda: loop.practise(Examples(indices[:size] if size else indices))

    more = min(_MORE, max(_FEW + 1, task.train_size // batch_size))
    train(more)()  # the first steps pay for what later ones find ready
    few_s = [_timed(task.device, train(_FEW)) for _ in range(_REPEATS)]
    more_s = [_timed(task.device, train(more)) for _ in range(_REPEATS)]
    few, many = (min(k * batch_size, task.train_size) / batch_size for k in (_FEW, more))
    step = [max(0.0, b - a) / max(many - few, 1e-9) for a, b in zip(few_s, more_s, strict=True)]
    if many <= few:
        step = [b / many for b in more_s]
    middle = statistics.median(step)
    epoch = [max(0.0, seconds - few * middle) for seconds in few_s]
    return Units(_spread(epoch), _spread(step), _example(task), (startup_s,) * 3)


def seconds_of(
    work: Work,
    units: Units,
    selection: Seconds,
    settings: TrialSettings,
    splits: dict[str, int],
) -> dict[str, Seconds]:
    """A trial's seconds by phase.

    Looks are planned as the trial will plan them, with the measured seconds in place of its own.

    Args:
        work: What it does.
        units: What that takes.
        selection: Seconds of one selection.
        settings: The trial's settings.
        splits: Examples of ``train``, ``validation``, of the ``part`` of it that looks see, and of
            ``test``.
    """
    train = tuple(
        len(work.steps) * units.epoch[i] + sum(work.steps) * units.step[i] for i in range(3)
    )
    evaluated = [_evaluation(work, units, i, settings, splits) for i in range(3)]
    return {
        "startup": units.startup,
        "train": _ordered(train),
        "select": _ordered(tuple(work.selections * s for s in selection)),
        "eval": _ordered(tuple(evaluated)),
    }


def split_sizes(task: Task, part: float | str) -> dict[str, int]:
    """Examples of the splits that are evaluated; 0 where the task does not say."""
    sizes = {"train": task.train_size}
    for split in ("validation", "test"):
        try:
            sizes[split] = len(task.split_labels(split))
        except ValueError:
            sizes[split] = 0
    sizes["part"] = sizes["validation"]
    if sizes["validation"]:
        chosen = fixed_part(task.split_labels("validation"), part)
        sizes["part"] = sizes["validation"] if chosen is None else len(chosen)
    return sizes


def _evaluation(
    work: Work, units: Units, which: int, settings: TrialSettings, splits: dict[str, int]
) -> float:
    evaluation, example_s = settings.evaluation, units.example[which]
    look_s = splits["part"] * example_s
    whole = splits["validation"] / max(splits["part"], 1)
    budget = LookBudget(evaluation.share or 1.0, whole=whole)
    train_s, looks = 0.0, 0
    for epoch, steps in enumerate(work.steps[:-1], start=1):
        train_s += units.epoch[which] + steps * units.step[which]
        if evaluation.share is None:
            due = epoch % (evaluation.every or 1) == 0
        else:
            due = budget.affords(train_s, look_s)
        if due or epoch in evaluation.milestones:
            budget.book(look_s)
            looks += 1
    tests = {"never": 0, "last": 1, "every": 1 + looks}[evaluation.test]
    recorded = sum(epoch <= len(work.steps) for epoch in evaluation.record_losses)
    seen = splits["validation"] + tests * splits["test"]
    seen += recorded * (splits["train"] + (splits["test"] if evaluation.test != "never" else 0))
    return budget.spent_s + seen * example_s


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
    count = min(size, _EVALUATED * task.eval_batch_size)
    look = Look(torch.arange(count))

    def evaluate() -> None:
        task.look = look
        try:
            task.evaluate(split)
        finally:
            task.look = None

    evaluate()
    seen = count if look.heeded else size
    return _spread([_timed(task.device, evaluate) / seen for _ in range(3)])


def _timed(device: torch.device, work: Callable[[], None]) -> float:
    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = now()
    work()
    return now() - start


def _spread(values: list[float]) -> Seconds:
    return min(values), statistics.median(values), max(values)


def _ordered(values: tuple[float, ...]) -> Seconds:
    low, middle, high = sorted(values)
    return low, middle, high
