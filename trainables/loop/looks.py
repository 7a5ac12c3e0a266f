"""When a run looks at its validation and test splits, and what it reports of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from trainables.loop.clock import PhaseClock
from trainables.settings.evaluation import EvaluationSettings
from trainables.tasks.look import Look, fixed_part, part_standard_error
from trainables.tasks.task import Split, Task


@dataclass
class LookBudget:
    """Which epochs end with a look, of those where none is due anyway; pure arithmetic.

    Attributes:
        share: The share of the training seconds that looks may take.
        spent_s: Seconds of the looks so far.
        cost_s: Seconds of the last look before the last epoch's; ``None`` before the first.
        whole: How many times as dear the last epoch's look is, which sees the whole split.
    """

    share: float
    spent_s: float = 0.0
    cost_s: float | None = None
    whole: float = 1.0

    def affords(self, train_s: float, expected_s: float) -> bool:
        """Whether a look now leaves enough for the last one, all within the share.

        The first look only has to find out what looks cost: it is due once the share would pay for
        what it is expected to.

        Args:
            train_s: Training seconds so far.
            expected_s: What the first look may cost, which is not known yet.
        """
        if self.cost_s is None:
            return self.spent_s + expected_s <= self.share * train_s
        return self.spent_s + self.cost_s * (1 + self.whole) <= self.share * train_s

    def book(self, seconds: float) -> None:
        """A look before the last epoch's took so long."""
        self.spent_s += seconds
        self.cost_s = seconds


class Looks:
    """Evaluates a task after those epochs that the settings say.

    Args:
        task: The trial's.
        settings: Its ``evaluation`` table.
        clock: Its own: looks are booked as evaluation, and their share is of its training seconds.
    """

    def __init__(self, task: Task, settings: EvaluationSettings, clock: PhaseClock) -> None:
        self._task, self._settings, self._clock = task, settings, clock
        self._part: Tensor | None = None
        self._labels: Tensor | None = None
        self._budget = LookBudget(settings.share) if settings.share is not None else None
        if settings.validation_part != 1.0 or self._budget is not None:
            self._measure_split()

    def after(self, epoch: int, *, last: bool, trained: int) -> dict[str, float]:
        """What there is to report of an epoch's end; nothing where no look is due.

        Args:
            epoch: Finished epochs.
            last: Whether no epoch follows.
            trained: Examples that the epoch trained on.
        """
        if not last and not self._due(epoch, trained):
            return {}
        before_s = self._clock.seconds()["eval_s"]
        with self._clock.phase("eval"):
            found = self._validation(last)
        if self._budget is not None and not last:
            self._budget.book(self._clock.seconds()["eval_s"] - before_s)
        test = self._settings.test
        if test == "every" or (test == "last" and last):
            with self._clock.phase("eval"):
                found |= self._scores("test", None)
        return found

    def state_dict(self) -> dict[str, Any]:
        """What must survive a checkpoint: the seconds that looks have taken."""
        if self._budget is None:
            return {}
        return {"spent_s": self._budget.spent_s, "cost_s": self._budget.cost_s}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave; a state of another plan says nothing."""
        if self._budget is not None and state:
            self._budget.spent_s, self._budget.cost_s = state["spent_s"], state["cost_s"]

    def _due(self, epoch: int, trained: int) -> bool:
        settings = self._settings
        if epoch in settings.milestones:
            return True
        if self._budget is None:
            return epoch % (settings.every or 1) == 0
        train_s = self._clock.seconds()["train_s"]
        # Of a training step, about a third is the forward pass, which is all that a look needs.
        seen = self._seen()
        expected_s = train_s / epoch * seen / trained / 3 if trained and seen is not None else 0.0
        return self._budget.affords(train_s, expected_s)

    def _seen(self) -> int | None:
        """How many examples a look sees; ``None`` where the task does not say."""
        if self._part is not None:
            return len(self._part)
        return None if self._labels is None else len(self._labels)

    def _measure_split(self) -> None:
        try:
            self._labels = self._task.split_labels("validation")
        except ValueError:  # the task does not know them: no part can be drawn
            return
        self._part = fixed_part(self._labels, self._settings.validation_part)
        if self._part is not None and self._budget is not None:
            self._budget.whole = len(self._labels) / len(self._part)

    def _validation(self, last: bool) -> dict[str, float]:
        part = None if last else self._part
        look = Look(part, calibrated=last)
        found = self._scores("validation", look)
        if part is None or not look.heeded or self._labels is None:
            return found
        found["validation_examples"] = len(part)
        name = f"val_{self._task.metric}"
        if self._task.metric == "accuracy" and name in found:
            error = part_standard_error(found[name], len(part), len(self._labels))
            found["validation_standard_error"] = error
        return found

    def _scores(self, split: Split, look: Look | None) -> dict[str, float]:
        self._task.look = look
        try:
            scores = self._task.evaluate(split)
        finally:
            self._task.look = None
        prefix = "val" if split == "validation" else split
        return {f"{prefix}_{name}": value for name, value in scores.items()}
