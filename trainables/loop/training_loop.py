"""The training loop: plain PyTorch, one call per epoch, nothing of Ray.

An epoch asks its ``SubsetSource`` what to train on, cuts it into mini-batches, optionally lets a
mini-batch selector thin them out, and steps on the weighted mean loss of each.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from trainables.loop.clock import PhaseClock
from trainables.loop.diverged import check_finite
from trainables.loop.forgetting import ForgettingRecorder
from trainables.loop.looks import Looks
from trainables.loop.loss_records import LossRecords
from trainables.loop.mini_batches import BatchStage, mini_batches, weighted_batches
from trainables.loop.optim import Schedule
from trainables.loop.seeding import seed_global, stream
from trainables.loop.sources import Examples, SubsetSource, Waiting
from trainables.loop.steps import Steps
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task


class TrainingLoop:
    """Trains one task, epoch by epoch.

    Attributes:
        epoch: Finished epochs.
        epochs: Epochs of the whole run.
    """

    def __init__(
        self,
        task: Task,
        source: SubsetSource,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        settings: TrialSettings,
        *,
        epochs: int,
        clock: PhaseClock,
        time_budget_s: float | None = None,
        stage: BatchStage | None = None,
        stage_from_epoch: int = 0,
        forgetting: ForgettingRecorder | None = None,
    ) -> None:
        self.task = task
        self.epoch = 0
        self.epochs = epochs
        self._source = source
        self._steps = Steps(task, optimizer, schedule, settings)
        self._settings = settings
        self._clock = clock
        self._time_budget_s = time_budget_s
        self._stage = stage
        self._stage_from_epoch = stage_from_epoch
        self._forgetting = forgetting
        self._looks = Looks(task, settings.evaluation, clock)
        self._losses = LossRecords(task, settings.evaluation, clock)
        self._used = torch.zeros(task.train_size, dtype=torch.bool)
        self._examples_seen = 0

    @property
    def finished(self) -> bool:
        """Whether the last epoch is trained, or the time budget is spent."""
        return self.epoch >= self.epochs or self._out_of_time()

    def run_epoch(self) -> dict[str, Any]:
        """Train one epoch and evaluate if a look is due; or report which interval it waits for.

        Returns:
            The epoch's metrics, or ``{"waiting_for_interval": i}`` with the cumulative seconds.

        Raises:
            TrainingDivergedError: A loss was not finite.
        """
        examples = self._source.examples(self.epoch, self.task)
        if isinstance(examples, Waiting):
            waiting = {"epoch": self.epoch, "waiting_for_interval": examples.interval}
            return {**waiting, **self._spent()}
        recording = nullcontext() if self._forgetting is None else self._forgetting.epoch()
        with self._clock.phase("train"), recording:
            train_loss, trained = self._train(examples)
            self._steps.times.book()
        self._used[trained] = True
        self._examples_seen += len(trained)
        self.epoch += 1
        if self.epoch == self.epochs:
            self._source.finish()
            if self._forgetting is not None:
                self._forgetting.finish()
        self._losses.after(self.epoch)
        return {
            "epoch": self.epoch,
            "waiting_for_interval": -1,
            "train_loss": train_loss,
            **self._evaluate(len(trained)),
            "learning_rate": self._steps.rate(self.epoch - 1),
            "subset_size": len(examples) if self._stage is None else len(trained),
            "examples_seen": self._examples_seen,
            "points_never_used": 1.0 - float(self._used.sum()) / len(self._used),
            **self._source.selection_metrics(),
            **self._source.status(),
            **({} if self._stage is None else self._stage.metrics()),
            **self.task.metrics(),
            **self._steps.times.seconds(),
            **self._spent(),
        }

    def practise(self, examples: Examples) -> None:
        """Train on some examples as an epoch does, without counting it, to find out what it takes.

        The model is another afterwards.
        """
        self._train(examples)

    def trace(self) -> dict[str, list[float]]:
        """Scalars of the mini-batch selector per iteration of the last epoch, if it has any."""
        return {} if self._stage is None else self._stage.trace()

    def loss_records(self) -> pa.Table | None:
        """The losses of single examples after the last epoch, once, where they are recorded."""
        return self._losses.take()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a bit-identical continuation needs; tensors and plain values only."""
        return {
            "epoch": self.epoch,
            "model": self.task.model.state_dict(),
            **self._steps.state_dict(),
            "source": self._source.state_dict(),
            "stage": {} if self._stage is None else self._stage.state_dict(),
            "forgetting": {} if self._forgetting is None else self._forgetting.state_dict(),
            "clock": self._clock.state_dict(),
            "looks": self._looks.state_dict(),
            "used": self._used,
            "examples_seen": self._examples_seen,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken.

        The hyperparameters are the loop's own, so that population-based training may change them.
        """
        self.epoch = int(state["epoch"])
        self.task.model.load_state_dict(state["model"])
        self._steps.load_state_dict(state)
        self._source.load_state_dict(state["source"])
        if self._stage is not None:
            self._stage.load_state_dict(state["stage"])
        if self._forgetting is not None and state["forgetting"]:
            self._forgetting.load_state_dict(state["forgetting"])
        self._clock.load_state_dict(state["clock"])
        self._looks.load_state_dict(state.get("looks", {}))
        self._used = state["used"].clone()
        self._examples_seen = int(state["examples_seen"])

    def _train(self, examples: Examples) -> tuple[float, Tensor]:
        """One pass over the examples: (mean unweighted loss, indices of those stepped on)."""
        settings, task = self._settings, self.task
        # Dropout and the like draw from the global generators. Seeding those per epoch leaves no
        # generator to save, and makes a restored run equal to an uninterrupted one.
        seed_global(settings.seed, "global", self.epoch, task.device)
        order = stream(settings.seed, "order", self.epoch)
        augmentation = stream(settings.seed, "augmentation", self.epoch, device=task.device)
        cut = mini_batches(examples, settings.batch_size, order)
        stage = self._stage if self.epoch >= self._stage_from_epoch else None
        if stage is None:
            batches = weighted_batches(task, cut, augmentation)
        else:
            batches = stage.weighted_batches(
                task,
                iter(cut),
                epoch=self.epoch,
                generator=stream(settings.seed, "selection", self.epoch),
                augmentation=augmentation,
            )
        task.training_mode()
        # Losses stay on the device until the epoch's end: reading one would stall a GPU each step.
        sums: list[Tensor] = []
        trained: list[Tensor] = []
        passed = 0.0  # share of the epoch that lies before this step
        for step, (batch, weights) in enumerate(batches):
            begins = passed
            # A stage makes fewer steps than there are candidates, and how many is known only later.
            passed = (step + 1) / len(cut) if stage is None else stage.considered / len(examples)
            # Warm-up counts the step under way, or its first would not move; what follows does not.
            warming = self.epoch + begins < settings.warmup_epochs
            within = passed if warming else begins
            losses = self._steps.step(
                batch, weights, at=self.epoch + within, whole=examples.batches is not None
            )
            if stage is not None:
                stage.observe(losses)
            if self._forgetting is not None:
                self._forgetting.note(batch)
            sums.append(losses.sum())
            trained.append(batch.indices)
        if not trained:  # a selector of variable size chose nothing at all
            return float("nan"), torch.empty(0, dtype=torch.int64)
        totals = torch.stack(sums).float().cpu()
        check_finite(totals, "train_loss", self.epoch + 1, settings, of_batches=True)
        indices = torch.cat(trained).cpu()
        return float(totals.sum()) / len(indices), indices

    def _evaluate(self, trained: int) -> dict[str, float]:
        results = self._looks.after(self.epoch, last=self.finished, trained=trained)
        for name, value in results.items():
            check_finite(torch.tensor([value]), name, self.epoch, self._settings)
        return results

    def _spent(self) -> dict[str, float | None]:
        """Seconds and energy so far, by phase."""
        clock = self._clock
        return {**clock.seconds(), "energy_j": clock.joules, **clock.joules_by_phase()}

    def _out_of_time(self) -> bool:
        if self._time_budget_s is None:
            return False
        spent = self._clock.seconds()
        return spent["train_s"] + spent["select_s"] >= self._time_budget_s
