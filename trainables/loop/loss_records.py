"""The losses of single examples after chosen epochs (Jiang et al. 2019, Figs. 2, 3, 8, 9, 15)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from trainables.loop.clock import PhaseClock
from trainables.settings.evaluation import EvaluationSettings
from trainables.tasks.single_examples import example_losses
from trainables.tasks.task import Split, Task


class LossRecords:
    """Looks at every training and test example after the epochs that the settings name.

    The passes are booked as evaluation, and change neither weights nor random numbers.

    Args:
        task: The trial's.
        settings: Its ``evaluation`` table: ``record_losses``, and ``test: never`` leaves out the
            test examples.
        clock: The clock of the trial.
    """

    def __init__(self, task: Task, settings: EvaluationSettings, clock: PhaseClock) -> None:
        self._task, self._clock = task, clock
        self._epochs = frozenset(settings.record_losses)
        self._splits: tuple[Split, ...] = ("train", "test")
        if settings.test == "never":
            self._splits = ("train",)
        self._rows: pa.Table | None = None

    def after(self, epoch: int) -> None:
        """Record an epoch's end where it is one of the chosen."""
        if epoch in self._epochs:
            with self._clock.phase("eval"):
                self._rows = loss_rows(self._task, epoch, self._splits)

    def take(self) -> pa.Table | None:
        """What ``loss_rows`` gave after the last epoch, once; ``None`` where nothing is new."""
        rows, self._rows = self._rows, None
        return rows


def loss_rows(task: Task, epoch: int, splits: Sequence[Split] = ("train", "test")) -> pa.Table:
    """A row for each example of the splits.

    Args:
        task: Whose examples they are.
        epoch: Finished epochs.
        splits: Splits of the task; another than ``train`` is left out where the task does not
            know its examples one by one.

    Returns:
        ``epoch`` (int32), ``split`` (text), ``example`` (int32, its index in the split), ``loss``
        (float32) and ``correct`` (bool; missing where the task is no classifier).
    """
    tables = []
    for split in splits:
        try:
            losses, right = example_losses(task, split)
        except ValueError:
            if split == "train":
                raise
            continue
        size = len(losses)
        correct = pa.nulls(size, pa.bool_()) if right is None else pa.array(right.numpy())
        tables.append(
            pa.table(
                {
                    "epoch": np.full(size, epoch, np.int32),
                    "split": pa.array([split] * size, pa.string()),
                    "example": np.arange(size, dtype=np.int32),
                    "loss": losses.numpy(),
                    "correct": correct,
                }
            )
        )
    return pa.concat_tables(tables)
