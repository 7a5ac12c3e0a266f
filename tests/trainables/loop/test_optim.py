"""Schedules against PyTorch's own; optimizers by name."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch.optim import lr_scheduler

from tests.trainables.toy_tasks import PointTask, settings
from trainables.loop.optim import make_optimizer, make_schedule, set_learning_rate
from trainables.settings.trial import Optimizer


def reference(schedule: str) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler: lr_scheduler.LRScheduler = (
        lr_scheduler.CosineAnnealingLR(optimizer, 20)
        if schedule == "cosine"
        else lr_scheduler.MultiStepLR(optimizer, [6, 12, 16], gamma=0.2)
    )
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("schedule", ["cosine", "multi_step"])
def test_schedules_are_pytorchs(schedule: str) -> None:
    # Twenty epochs of one step each, or a quarter of them with four.
    chosen = settings(schedule=schedule, milestones=[0.6, 0.3, 0.8])
    for epochs, steps in ((20, 1), (5, 4)):
        factor = make_schedule(chosen, epochs)
        assert [factor(step / steps) for step in range(20)] == pytest.approx(reference(schedule))


@pytest.mark.parametrize("schedule", ["cosine", "multi_step"])
def test_schedules_by_epoch_stand_still_within_one(schedule: str) -> None:
    chosen = settings(schedule=schedule, milestones=[0.6, 0.3, 0.8], schedule_by="epoch")
    factor = make_schedule(chosen, 20)
    times = [epoch + within for epoch in range(20) for within in (0, 0.25, 0.999)]
    assert [factor(time) for time in times] == pytest.approx(
        [rate for rate in reference(schedule) for _ in range(3)]
    )


def test_constant_after_warm_up() -> None:
    factor = make_schedule(settings(schedule="constant", warmup_epochs=2), 10)
    assert [factor(epoch) for epoch in (0.5, 1, 2, 9)] == [0.25, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_optimizers_take_rate_decay_and_groups(name: str) -> None:
    class TwoGroups(PointTask):
        def parameter_groups(self, weight_decay: float) -> list[dict[str, object]]:
            head, body = list(self.head().parameters()), list(self.model[0].parameters())
            return [
                {"params": body, "weight_decay": weight_decay, "lr_scale": 0.1},
                {"params": head, "weight_decay": 0.0},
            ]

    optimizer = make_optimizer(TwoGroups(), settings(optimizer=name, weight_decay=0.3))
    set_learning_rate(optimizer, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.05, 0.5]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.3, 0.0]
    assert type(optimizer).__name__.lower() == name


@pytest.mark.parametrize("key", ["optimizer", "schedule", "schedule_by"])
def test_unknown_names_say_what_there_is(key: str) -> None:
    with pytest.raises(ValueError, match=rf"{key} must be .* or .*'nonsense'"):
        settings(**{key: "nonsense"})


def test_without_momentum_there_is_nothing_to_look_ahead_by() -> None:
    """PyTorch refuses Nesterov's momentum of zero, which a search over momentum may draw."""
    (group,) = make_optimizer(PointTask(), settings(nesterov=True, momentum=0.0)).param_groups
    assert (group["nesterov"], group["momentum"]) == (False, 0.0)
    (group,) = make_optimizer(PointTask(), settings(nesterov=True, momentum=0.5)).param_groups
    assert group["nesterov"]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_one_kernel_takes_a_step_where_the_device_has_it(name: str) -> None:
    task = PointTask()
    assert make_optimizer(task, settings(optimizer=name)).defaults["fused"] is None
    task.device = torch.device("cuda")  # of which the parameters, on the CPU, know nothing
    assert make_optimizer(task, settings(optimizer=name)).defaults["fused"] is True
