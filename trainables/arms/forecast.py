"""What a trial will cost, from a few measured steps and from counts that are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainables.arms.plan import ArmPlan
from trainables.arms.probe import Seconds, Units
from trainables.loop.looks import LookBudget
from trainables.loop.reports import BESIDE_S, Reports
from trainables.settings.trial import TrialSettings
from trainables.tasks.look import fixed_part
from trainables.tasks.task import Task
from tune_select.reporting import Reporting

REPORT_S = 0.005
"""What a report to the driver takes a slot, its way back included, seconds; see the README."""


@dataclass(frozen=True)
class Work:
    """How much a trial does.

    Attributes:
        steps: The steps of each epoch, in batches; the last one counts as the part of a batch that
            it is.
        examples: Trained on (of mini-batch selectors: looked at), of each epoch.
        selects: The epochs, from 1, that begin with a selection from the whole training set.
        publishes: Whether it is a seed, which reports each selection.
    """

    steps: tuple[float, ...]
    examples: tuple[int, ...]
    selects: tuple[int, ...] = ()
    publishes: bool = False


@dataclass(frozen=True)
class SelectionCost:
    """Measured seconds of one selection.

    Attributes:
        select_s: Booked as selection.
        eval_s: Booked as evaluation: its gradient error, and that of a random subset.
    """

    select_s: float = 0.0
    eval_s: float = 0.0


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
    selects = range(warm + 1, plan.epochs + 1, plan.selection.select_every) if selecting else ()
    return Work(
        tuple(count / settings.batch_size for count in examples),
        examples,
        tuple(selects),
        plan.kind == "seed",
    )


def seconds_of(
    work: Work,
    units: Units,
    selection: SelectionCost,
    settings: TrialSettings,
    splits: dict[str, int],
    reporting: Reporting | None = None,
) -> dict[str, Seconds]:
    """A trial's seconds by phase.

    Looks, reports and checkpoints are planned as the trial will plan them, with the measured
    seconds in place of its own.

    Args:
        work: What it does.
        units: What that takes.
        selection: What one selection takes.
        settings: The trial's settings.
        splits: Examples of ``train``, ``validation``, of the ``part`` of it that looks see, and of
            ``test``.
        reporting: When it reports and is saved; after every epoch, and never, where not given.
    """
    planned = [_planned(work, units, i, selection, settings, splits) for i in range(3)]
    told = [_reports(work, one, units.checkpoint[i], reporting) for i, one in enumerate(planned)]
    errors_s = len(work.selects) * selection.eval_s
    select_s = len(work.selects) * selection.select_s
    return {
        "startup": units.startup,
        "train": _ordered([one.train_s for one in planned]),
        "select": (select_s,) * 3,
        "eval": _ordered([errors_s + one.eval_s for one in planned]),
        "reports": _ordered(told),
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


@dataclass(frozen=True)
class _Planned:
    """A trial as it will go: seconds of its epochs, and of all training and evaluation."""

    epochs_s: list[float]
    train_s: float
    eval_s: float


def _planned(
    work: Work,
    units: Units,
    which: int,
    selection: SelectionCost,
    settings: TrialSettings,
    splits: dict[str, int],
) -> _Planned:
    """As ``seconds_of``, of the least, the likely or the most that was measured."""
    evaluation, example_s = settings.evaluation, units.example[which]
    look_s = splits["part"] * example_s
    whole = splits["validation"] / max(splits["part"], 1)
    budget = LookBudget(evaluation.share or 1.0, whole=whole)
    trains_s = [units.epoch[which] + steps * units.step[which] for steps in work.steps]
    epochs_s, train_s, looks = [], 0.0, 0
    for epoch, own_s in enumerate(trains_s, start=1):
        train_s += own_s
        epochs_s.append(own_s)
        if epoch in work.selects:
            epochs_s[-1] += selection.select_s + selection.eval_s
        if epoch == len(work.steps):
            break  # the last look is another
        if evaluation.share is None:
            due = epoch % (evaluation.every or 1) == 0
        else:
            due = budget.affords(train_s, look_s)
        if due or epoch in evaluation.milestones:
            budget.book(look_s)
            epochs_s[-1] += look_s
            looks += 1
    tests = {"never": 0, "last": 1, "every": 1 + looks}[evaluation.test]
    recorded = sum(epoch <= len(work.steps) for epoch in evaluation.record_losses)
    seen = splits["validation"] + tests * splits["test"]
    seen += recorded * (splits["train"] + (splits["test"] if evaluation.test != "never" else 0))
    return _Planned(epochs_s, train_s, budget.spent_s + seen * example_s)


def _reports(
    work: Work, planned: _Planned, checkpoint_s: float, reporting: Reporting | None
) -> float:
    """Seconds of a trial's reports to the driver and of its checkpoints."""
    now_s, spent_s, published = 0.0, 0.0, 0
    plan = Reports(reporting or Reporting(), now_s)
    plan.begins(now_s)
    for epoch, epoch_s in enumerate(planned.epochs_s, start=1):
        now_s += epoch_s
        published += epoch in work.selects
        report: dict[str, Any] = {"epoch": epoch, "done": epoch == len(work.steps)}
        if work.publishes:
            report["history_published"] = published
        if not plan.is_due(report, now_s):
            continue
        saves = plan.saves(report, now_s)
        plan.sent(report)
        took_s = REPORT_S + (checkpoint_s + BESIDE_S if saves else 0.0)
        now_s, spent_s = now_s + took_s, spent_s + took_s
        if saves:
            plan.saved(now_s, checkpoint_s)
        plan.begins(now_s)
    return spent_s


def _ordered(values: Sequence[float]) -> Seconds:
    low, middle, high = sorted(values)
    return low, middle, high
