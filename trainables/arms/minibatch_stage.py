"""Selection inside the mini-batch: what stands between the candidates and the steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainables.arms.collector import Collector
from trainables.arms.stage_settings import StageSettings
from trainables.loop.clock import PhaseClock
from trainables.loop.diverged import TrainingDivergedError
from trainables.loop.mini_batches import Weighted, recut
from trainables.loop.stopwatch import Stopwatch
from trainables.tasks.batches import cuts, take
from trainables.tasks.task import Batch, Task
from tune_select.selection.minibatch import (
    BatchSignals,
    Choice,
    MiniBatchSelector,
    Plan,
    Progress,
)


@dataclass
class _Request:
    """What to do with a candidate batch that the task has been asked to make."""

    plan: Plan
    weights: Tensor | None
    before: int  # candidates of the epoch that come before it
    upto: int  # the same with its own


@dataclass
class _Tally:
    """Counts of one epoch, and what waits on the device to be read at its end."""

    candidates: int = 0
    trained: int = 0
    finite: list[Tensor] = field(default_factory=list)
    metrics: list[dict[str, Tensor]] = field(default_factory=list)


class MiniBatchSelection:
    """Turns candidate batches into the batches to train on.

    Args:
        selector: Chooses; may be wrapped in ``Scheduled`` and ``Stale``.
        settings: The settings of the stage.
        task: Whose model judges the candidates.
        clock: Books selection passes and choices under ``select``.
        batch_size: Examples per step of ordinary training.
        max_epochs: Epochs of the whole run.

    Raises:
        ValueError: The selector needs gradients, and the model has no linear head.
    """

    def __init__(
        self,
        selector: MiniBatchSelector,
        settings: StageSettings,
        task: Task,
        clock: PhaseClock,
        *,
        batch_size: int,
        max_epochs: int,
    ) -> None:
        if selector.needs_gradients:
            task.heads()
        self._selector, self._clock, self._max_epochs = selector, clock, max_epochs
        self._pass = settings.selection_pass(gradients=selector.needs_gradients)
        self._device = task.device
        scaled = settings.batch_mode == "scaled"
        self._step_size = batch_size
        self._candidate_size = round(batch_size / settings.keep) if scaled else batch_size
        self._budget = batch_size if scaled else max(1, round(settings.keep * batch_size))
        self._collects = selector.variable_size or settings.batch_mode == "collected"
        self._collector = Collector(batch_size, task.device)
        self._measured = 0
        self._considered = 0
        self._whole = False
        self._stopwatch = Stopwatch(task.device)
        self._tally = _Tally()
        self._report: dict[str, float] = {}
        self._trace: dict[str, list[float]] = {}

    def weighted_batches(
        self,
        task: Task,
        candidates: Iterable[Weighted],
        *,
        epoch: int,
        generator: torch.Generator,
        augmentation: torch.Generator,
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """Yield what to step on.

        Args:
            task: Whose model judges the candidates.
            candidates: Indices and weights of each mini-batch.
            epoch: Counts from 0.
            generator: The generator, on the CPU, this epoch's own, for the selection.
            augmentation: The augmentation's generator, on the task's device, this epoch's own.

        Yields:
            Batches and their weights (B,) on the task's device (``None`` when all are equal). The
            indices of a chosen batch are on the task's device too.

        Raises:
            ValueError: The losses of a selection pass are not one per example.
            TrainingDivergedError: They are not finite; found at the epoch's end on a GPU.
        """
        self._tally, requests = _Tally(), deque[_Request]()
        draws = generator
        if self._device.type != "cpu":  # draw where the losses are: nothing to transfer
            draws = torch.Generator(self._device).manual_seed(generator.initial_seed())
        cut = recut(candidates, self._candidate_size)
        wanted = self._wanted(cut, epoch, generator, requests)
        for batch in task.batches(wanted, generator=augmentation):
            request = requests.popleft()
            self._whole, self._considered = request.plan is Plan.WHOLE, request.upto
            for chosen, weights in self._chosen(task, batch, request, draws):
                self._tally.trained += len(chosen)
                yield chosen, weights
        if self._tally.trained == 0:  # an epoch makes at least one step, if any example was chosen
            for chosen, weights in self._collector.batches(least=1):
                self._tally.trained += len(chosen)
                yield chosen, weights
        self._finish(epoch)

    @property
    def considered(self) -> int:
        """Candidates of the epoch that the batch just yielded and those before it came from."""
        return self._considered

    def observe(self, losses: Tensor) -> None:
        """Take note of the losses (B,) of the step just made, on the task's device."""
        if self._whole:
            self._selector.observe(losses)

    def metrics(self) -> dict[str, float]:
        """Of the last epoch: share trained on, means of the selector's metrics; passes so far."""
        return self._report

    def trace(self) -> dict[str, list[float]]:
        """The selector's metrics after each of the last epoch's selections."""
        return self._trace

    def state_dict(self) -> dict[str, Any]:
        """The selector's state, and the chosen examples that wait for a full batch."""
        return {
            "selector": self._selector.state_dict(),
            "collected": self._collector.state_dict(),
            "measured": self._measured,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._selector.load_state_dict(state["selector"])
        self._collector.load_state_dict(state["collected"])
        self._measured = int(state["measured"])

    def _wanted(
        self,
        candidates: Iterable[Weighted],
        epoch: int,
        generator: torch.Generator,
        requests: deque[_Request],
    ) -> Iterator[Tensor]:
        """Indices of batches to make; what to do with each is left in ``requests``.

        Where there is no selection pass the choice is made here, on the CPU, and only the chosen
        are loaded and augmented. A task that reads ahead asks for plans as far ahead of the steps.
        """
        for number, (indices, weights) in enumerate(candidates):
            before = self._tally.candidates
            self._tally.candidates += len(indices)
            plan = self._selector.plan(Progress(epoch, self._max_epochs, number))
            if len(indices) <= self._budget and not self._selector.variable_size:
                plan = Plan.WHOLE
            if plan is Plan.CHOOSE:
                signals = BatchSignals.unmeasured(indices)
                choice = self._selector.choose(signals, self._budget, generator)
                if len(choice) == 0:
                    continue
                weights = _times(choice.weights, weights, choice.positions)
                indices = indices[choice.positions]
            requests.append(_Request(plan, weights, before, self._tally.candidates))
            yield indices

    def _chosen(
        self, task: Task, batch: Batch, request: _Request, generator: torch.Generator
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """What of a batch to step on now."""
        weights = request.weights
        if weights is not None:
            weights = weights.to(self._device, non_blocking=True)
        if request.plan is Plan.WHOLE:
            yield from self._pieces(batch, weights, request.before)
            return
        if request.plan is Plan.MEASURE:
            with self._stopwatch:
                choice = self._choose(task, batch, generator)
                batch = take(batch, choice.positions)
                weights = _times(choice.weights, weights, choice.positions)
        assert weights is not None
        if not self._collects:
            yield batch, weights
        else:
            self._collector.add(batch, weights)
            yield from self._collector.batches()

    def _choose(self, task: Task, batch: Batch, generator: torch.Generator) -> Choice:
        signals = self._pass(task, batch)
        self._measured += len(batch)
        finite = torch.isfinite(signals.losses).all()
        self._tally.finite.append(finite)
        if self._device.type == "cpu" and not finite:
            raise TrainingDivergedError(self._diverged(len(self._tally.finite)))
        choice = self._selector.choose(signals, self._budget, generator)
        self._tally.metrics.append(self._selector.metrics())
        return choice

    def _pieces(
        self, batch: Batch, weights: Tensor | None, before: int
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """A whole batch, in steps of the ordinary size."""
        pieces = cuts(len(batch), self._step_size)
        if len(pieces) == 1 or self._candidate_size == self._step_size:
            yield batch, weights
            return
        for piece in pieces:
            self._considered = before = before + len(piece)
            positions = piece.to(self._device)
            yield take(batch, positions), None if weights is None else weights[positions]

    def _finish(self, epoch: int) -> None:
        """Read what the device still holds, and report."""
        tally, seconds = self._tally, self._stopwatch.read()
        self._clock.add("select", seconds)
        self._clock.add("train", -seconds)  # the epoch as a whole is booked there
        if tally.finite:
            finite = torch.stack(tally.finite).cpu()
            if not bool(finite.all()):
                raise TrainingDivergedError(self._diverged(int((~finite).nonzero()[0]) + 1))
        names = tally.metrics[0] if tally.metrics else {}
        self._trace = {
            name: torch.stack([metrics[name] for metrics in tally.metrics]).tolist()
            for name in names
        }
        self._report = {
            "trained_share": tally.trained / max(1, tally.candidates),
            "selection_examples": float(self._measured),
            **{name: sum(values) / len(values) for name, values in self._trace.items()},
        }

    def _diverged(self, number: int) -> str:
        return (
            f"losses in selection pass {number} of the epoch are not finite: lower the learning "
            "rate, add warmup_epochs or clip_norm, or look for NaN in the data"
        )


def _times(chosen: Tensor, given: Tensor | None, positions: Tensor) -> Tensor:
    return chosen if given is None else chosen * given[positions]
