"""The optimizer's steps: their rate, the forward and the backward pass, and the update."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainables.loop.mini_batches import weighted_mean
from trainables.loop.optim import Schedule, load_optimizer_state, set_learning_rate
from trainables.loop.step_times import StepTimes
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Batch, Task


class Steps:
    """Steps on the weighted mean loss of one mini-batch after another.

    Args:
        task: Whose model learns.
        optimizer: The optimizer of its parameters.
        schedule: The factor of the settings' learning rate over time.
        settings: The trial's.

    Attributes:
        times: Seconds of the two passes.
    """

    def __init__(
        self,
        task: Task,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        settings: TrialSettings,
    ) -> None:
        self.times = StepTimes(task.device)
        self._task, self._settings = task, settings
        self._optimizer, self._schedule = optimizer, schedule
        self._scaler = torch.amp.GradScaler(
            task.device.type, enabled=task.amp_dtype == torch.float16
        )

    def rate(self, at: float) -> float:
        """The learning rate at a time in epochs, from 0."""
        return self._settings.learning_rate * self._schedule(at)

    def step(self, batch: Batch, weights: Tensor | None, *, at: float, whole: bool) -> Tensor:
        """Make one step.

        Args:
            batch: B examples.
            weights: float32 (B,), or ``None`` when all are equal.
            at: The time in epochs that the learning rate is of.
            whole: Whether the batch has one weight as a whole, see ``weighted_mean``.

        Returns:
            The unweighted losses (B,), detached.
        """
        set_learning_rate(self._optimizer, self.rate(at))
        with (
            self.times.forward,
            self._task.autocast(),
            _single_example_named(batch, self._settings),
        ):
            losses = self._task.losses(batch)
            loss = losses.mean() if weights is None else weighted_mean(losses, weights, whole=whole)
        with self.times.backward:
            self._update(loss)
        return losses.detach()

    def _update(self, loss: Tensor) -> None:
        """The backward pass of a step's loss, and the optimizer's step."""
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(loss))
        if self._settings.clip_norm is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._task.model.parameters(), self._settings.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """What the next step hangs on beside the model, and the seconds so far."""
        return {
            "optimizer_name": self._settings.optimizer,
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "step_times": self.times.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken, with hyperparameters of our own.

        Another optimizer's moments would mean nothing to this one, and are left out.
        """
        if state["optimizer_name"] == self._settings.optimizer:
            load_optimizer_state(self._optimizer, state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.times.load_state_dict(state.get("step_times", {}))


@contextmanager
def _single_example_named(batch: Batch, settings: TrialSettings) -> Iterator[None]:
    """Say which settings make a mini-batch of one, where batch normalisation fails on it."""
    try:
        yield
    except ValueError as error:
        # Only 1 x 1 maps fail, so whether a model can be trained on one example shows here alone.
        if len(batch) != 1 or "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"a mini-batch of arm {settings.arm!r} has one example, which the batch normalisation "
            f"of model {settings.model!r} cannot train on: raise batch_size "
            f"({settings.batch_size}) or selection.fraction ({settings.selection.fraction:g})"
        ) from error
