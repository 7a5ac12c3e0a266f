"""Optimizers by name, and learning-rate schedules as functions of the time trained.

A schedule is a pure function instead of a stateful object: a trial restored from a checkpoint, or
one whose learning rate population-based training has changed, only has to know its epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import optim

from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task

Schedule = Callable[[float], float]
"""Factor of the learning rate at a time in [0, epochs), in epochs and fractions of them."""


def make_optimizer(task: Task, settings: TrialSettings) -> optim.Optimizer:
    """The optimizer that ``settings`` name over the task's parameter groups."""
    groups = task.parameter_groups(settings.weight_decay)
    for group in groups:
        group.setdefault("lr_scale", 1.0)
    rate, name = settings.learning_rate, settings.optimizer
    # One fused kernel per step instead of several per tensor, where the device has it. PyTorch has
    # none for RMSprop; there it takes all tensors of a group at once (foreach) by itself.
    fused = True if task.device.type == "cuda" else None
    if name == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return optim.SGD(groups, rate, settings.momentum, nesterov=nesterov, fused=fused)
    if name == "adam":
        return optim.Adam(groups, rate, fused=fused)
    if name == "adamw":
        return optim.AdamW(groups, rate, fused=fused)
    return optim.RMSprop(groups, rate)


def make_schedule(settings: TrialSettings, epochs: int) -> Schedule:
    """The schedule that ``settings`` name, over a run of ``epochs`` epochs.

    ``cosine`` anneals from 1 towards 0 (Loshchilov and Hutter 2017, eq. 5, without restarts).
    With ``schedule_by: step`` it moves with every step, so that a run of one epoch is annealed to
    its end like a longer one; with ``epoch`` it stands still within an epoch, as in the papers
    (Killamsetty et al. 2021), and a run of one epoch has a constant rate.
    """
    warmup, by_step = settings.warmup_epochs, settings.schedule_by == "step"

    def factor(epoch: float) -> float:
        if epoch < warmup:
            return epoch / warmup
        share = (epoch if by_step else math.floor(epoch)) / epochs
        if settings.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * share))
        if settings.schedule == "multi_step":
            return settings.gamma ** sum(share >= milestone for milestone in settings.milestones)
        return 1.0

    return factor


def set_learning_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Set every group's rate to ``rate`` times the group's ``lr_scale``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]


def load_optimizer_state(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Take a checkpoint's moments, but keep the hyperparameters that the optimizer was made with.

    Population-based training restores another trial's checkpoint under changed hyperparameters;
    the checkpoint's own would silently undo the change.
    """
    own = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, hyperparameters in zip(optimizer.param_groups, own, strict=True):
        group.update(hyperparameters)
