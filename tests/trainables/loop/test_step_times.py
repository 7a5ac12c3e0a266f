"""Seconds of the two passes of a step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.toy_tasks import PointTask, loop, run
from trainables.loop import clock as clock_module
from trainables.loop.step_times import StepTimes
from trainables.tasks.task import Batch


class Slow(PointTask):
    """Moves the clock by 3 at each forward pass and by 5 at each backward pass."""

    now = 0.0

    def losses(self, batch: Batch) -> Tensor:
        self.now += 3
        losses = super().losses(batch)
        losses.register_hook(self._passed)
        return losses

    def _passed(self, gradient: Tensor) -> Tensor:
        self.now += 5
        return gradient


def test_every_step_is_booked_under_its_two_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Slow(32)
    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: task.now)
    training = loop(task, evaluation={"every": 4})
    reports = run(training, 2)  # 4 steps each
    assert [(r["forward_s"], r["backward_s"]) for r in reports] == [(12, 20), (24, 40)]
    assert reports[-1]["train_s"] == 64

    state: dict[str, Any] = training.state_dict()
    task.now, restored = 0.0, loop(task)
    restored.load_state_dict(state)
    assert run(restored, 1)[0]["backward_s"] == 60


def test_a_checkpoint_of_before_does_not_know_them() -> None:
    times = StepTimes(torch.device("cpu"))
    times.load_state_dict({})
    times.book()
    assert all(math.isnan(value) for value in times.seconds().values())
