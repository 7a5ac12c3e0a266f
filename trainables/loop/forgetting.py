"""Recording forgetting events along a full run, for the ``forgetting`` selector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainables.tasks.task import Batch, Task
from tune_select.selection.forgetting import ForgettingEvents
from tune_select.storage import local_path


class ForgettingRecorder:
    """Notes, at each step, which examples the model got right before learning from them.

    Toneva et al. 2019, Algorithm 1, on the predictions of the training pass itself, which cost
    nothing extra. The predictions of an epoch stay on the device until its end.

    Args:
        task: A classifier: its head gives (B, C) scores and its batches' targets are classes (B,).
        path: Where to write the record after the last epoch.
    """

    def __init__(self, task: Task, path: str) -> None:
        self._events = ForgettingEvents(task.train_size)
        self._path = local_path(path)
        self._head = task.head()
        self._scores: Tensor | None = None
        self._indices: list[Tensor] = []
        self._correct: list[Tensor] = []

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Record the steps taken inside."""
        self._indices, self._correct = [], []
        handle = self._head.register_forward_hook(self._keep)
        try:
            yield
        finally:
            handle.remove()
        self._events.update(torch.cat(self._indices), torch.cat(self._correct))

    def note(self, batch: Batch) -> None:
        """Note the batch that the model was just trained on.

        Raises:
            ValueError: The task is no classifier.
        """
        scores, targets = self._scores, batch.targets
        if (
            scores is None
            or scores.ndim != 2
            or getattr(targets, "shape", None) != scores.shape[:1]
        ):
            raise ValueError(
                "forgetting_record needs a classifier with one class per example: leave it out"
            )
        self._indices.append(batch.indices)
        self._correct.append(scores.argmax(1) == targets)

    def finish(self) -> None:
        """Write the record."""
        self._events.save(self._path)

    def state_dict(self) -> dict[str, Any]:
        """What must survive a checkpoint."""
        return dict(self._events.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._events.load_state_dict(state)

    def _keep(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        self._scores = output.detach()
