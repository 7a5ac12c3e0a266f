"""A tiny task and loops around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.arms.plan import plan_arm
from trainables.loop.clock import PhaseClock
from trainables.loop.optim import make_optimizer, make_schedule
from trainables.loop.sources import Full, SubsetSource
from trainables.loop.training_loop import TrainingLoop
from trainables.settings.trial import TrialSettings, parse_settings
from trainables.tasks.task import Batch, Split, Task
from tune_select.history import DatasetIdentity


class PointTask(Task):
    """Three classes of points in five dimensions, and a small perceptron with dropout."""

    def __init__(self, size: int = 60, *, seed: int = 0, dropout: float = 0.2) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.device = torch.device("cpu")
        self.labels = torch.randint(3, (size,), generator=generator)
        self.points = torch.randn(size, 5, generator=generator) + self.labels[:, None]
        torch.manual_seed(seed)
        self.model = nn.Sequential(
            nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3)
        )
        self.dataset = DatasetIdentity("points", size, f"points-{size}-{seed}")
        self.eval_batch_size = 16

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        inputs = self.points[indices]
        if generator is not None:
            inputs = inputs + 0.1 * torch.randn(inputs.shape, generator=generator)
        return Batch(indices, inputs, self.labels[indices])

    def losses(self, batch: Batch) -> Tensor:
        return functional.cross_entropy(self.model(batch.inputs), batch.targets, reduction="none")

    def split_labels(self, split: Split) -> Tensor:
        return self.labels[:12] if split == "validation" else self.labels

    def evaluate(self, split: Split) -> dict[str, float]:
        self.model.eval()
        with torch.inference_mode():
            batch = self.batch(torch.arange(len(self.split_labels(split))), split=split)
            logits = self.model(batch.inputs)
        self.model.train()
        loss = functional.cross_entropy(logits, batch.targets)
        accuracy = (logits.argmax(1) == batch.targets).float().mean()
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def head(self) -> nn.Linear:
        head = self.model[-1]
        assert isinstance(head, nn.Linear)
        return head


def settings(**config: Any) -> TrialSettings:
    """Settings for short runs."""
    return parse_settings(
        {
            "max_epochs": 4,
            "batch_size": 8,
            "learning_rate": 0.05,
            **config,
            "selection": {"select_every": 2, "fraction": 0.5, **config.get("selection", {})},
        }
    )


def loop(
    task: Task | None = None, source: SubsetSource | None = None, **config: Any
) -> TrainingLoop:
    """A loop over a task, by default all of a ``PointTask``."""
    task = PointTask() if task is None else task
    chosen = settings(**config)
    return TrainingLoop(
        task,
        Full() if source is None else source,
        make_optimizer(task, chosen),
        make_schedule(chosen, plan_arm(chosen).epochs),
        chosen,
        epochs=plan_arm(chosen).epochs,
        clock=PhaseClock(),
        time_budget_s=chosen.time_budget_s,
    )


def run(training: TrainingLoop, epochs: int | None = None) -> list[dict[str, Any]]:
    """Reports of ``epochs`` epochs, or of all that remain."""
    reports = []
    while not training.finished and (epochs is None or len(reports) < epochs):
        reports.append(training.run_epoch())
    return reports


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    """A report without its seconds."""
    return {key: value for key, value in report.items() if not key.endswith("_s")}
