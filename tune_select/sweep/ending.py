"""How a sweep ended: one value, from which everything that depends on it follows."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum
from typing import Any


class How(Enum):
    """The ways in which a sweep can end."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    OUT_OF_BUDGET = "out of budget"
    FAILED = "failed"


OUT_OF_BUDGET_STATUS = 3  # 0: finished, 1: failed, 2: wrong input, 128 + n: ended by signal n

_MLFLOW = {
    How.FINISHED: "FINISHED",
    How.INTERRUPTED: "KILLED",
    How.OUT_OF_BUDGET: "KILLED",  # resumable, which MLflow has no other word for
    How.FAILED: "FAILED",
}


@dataclass(frozen=True)
class Ending:
    """How a sweep ended.

    Attributes:
        how: Finished, interrupted, out of budget or failed.
        reason: What happened, a clause such as ``Ctrl-C``; empty for a finished sweep.
        signal: Number of the signal that interrupted it.
    """

    how: How
    reason: str = ""
    signal: int | None = None

    @classmethod
    def finished(cls) -> Ending:
        """Everything ran to its end."""
        return cls(How.FINISHED)

    @classmethod
    def interrupted(cls, number: int) -> Ending:
        """A signal asked the sweep to stop."""
        return cls(How.INTERRUPTED, signal_name(number), number)

    @classmethod
    def out_of_budget(cls, budget_s: float) -> Ending:
        """``tune.time_budget_s`` is used up."""
        return cls(How.OUT_OF_BUDGET, f"its time budget (tune.time_budget_s: {budget_s:g}) is over")

    @classmethod
    def failed(cls, reason: str) -> Ending:
        """The sweep has no result to show, or could not go on."""
        return cls(How.FAILED, reason)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.how is How.FINISHED

    @property
    def exit_status(self) -> int:
        """What the command line ends with, as a shell expects it."""
        if self.how is How.INTERRUPTED:
            return 128 + (self.signal or signal.SIGINT)
        return {How.FINISHED: 0, How.OUT_OF_BUDGET: OUT_OF_BUDGET_STATUS}.get(self.how, 1)

    @property
    def mlflow_status(self) -> str:
        """The status of the sweep's MLflow run."""
        return _MLFLOW[self.how]

    def sentence(self, left_out: str = "") -> str:
        """What the terminal and the report say first; empty for a finished sweep.

        Args:
            left_out: What was not done because of this ending, as a sentence.
        """
        said = {
            How.FINISHED: "",
            How.INTERRUPTED: f"This sweep was interrupted ({self.reason}) before it was complete.",
            How.OUT_OF_BUDGET: f"This sweep is not complete: {self.reason}.",
            How.FAILED: f"This sweep failed: {self.reason.rstrip('.')}.",
        }[self.how]
        return " ".join(part for part in (said, left_out) if part and said)

    def as_dict(self) -> dict[str, Any]:
        """Plain data that ``from_dict`` reads back."""
        return {"how": self.how.value, "reason": self.reason, "signal": self.signal}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Ending:
        """What ``as_dict`` returned."""
        return cls(How(data["how"]), str(data["reason"]), data["signal"])


def signal_name(number: int) -> str:
    """A signal as people know it: ``Ctrl-C``, ``SIGTERM``."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
