"""Which failures of a trial can pass, so that it is worth trying it again.

Training is deterministic: a loss that diverged, a history that does not fit, a setting or a model
that does not exist will fail again in the same way, after the same hours. A process that was
killed, a node that was lost and storage that was away will not. Tune only counts failures, and
tells its schedulers of no exception; what it has is the text that it wrote beside the trial, where
the last line behind the last traceback's frames names the exception's class.
"""

from __future__ import annotations

import builtins
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.tune.experiment import Trial

from tune_select.history import HistoryUnavailableError

_ATTEMPT = re.compile(r"^Failure # \d+ \(occurred at .*\)$", re.MULTILINE)
_FRAME = re.compile(r"^  File \".*\", line \d+")
_RAISED = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$", re.DOTALL)

# The storage, the network, another process on the GPU.
_CAN_PASS = (OSError, RayError, HistoryUnavailableError, MemoryError)
# Of those: what is not there, or may not be read, stays so; a task's error is about its cause.
_CANNOT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, RayTaskError)
_CAN_PASS_BY_NAME = ("OutOfMemoryError", "AcceleratorError")  # of libraries not imported here


@dataclass(frozen=True)
class Failure:
    """Why a trial failed.

    Attributes:
        kind: Qualified name of the exception; empty where the process died without one.
        message: What it said, all its lines.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        name = self.kind.rpartition(".")[2]
        return f"{name}: {self.message}" if name and self.message else name or self.message


def parse_failure(text: str) -> Failure:
    """The last failure in what Tune writes of a trial's errors.

    Args:
        text: Content of ``error.txt``: a line per attempt, then the exception as Ray shows it, with
            the frames of its traceback before its class and message.
    """
    last = _ATTEMPT.split(text)[-1].strip("\n")
    lines = last.splitlines()
    frames = [number for number, line in enumerate(lines) if _FRAME.match(line)]
    after = range(frames[-1] + 1, len(lines)) if frames else range(0)
    raised = next((number for number in after if not lines[number].startswith(" ")), None)
    if raised is not None:
        match = _RAISED.match("\n".join(lines[raised:]).strip())
        if match:
            return Failure(match["name"], (match["message"] or "").strip())
    said = [line.strip() for line in lines if line.strip()]
    return Failure("", said[0] if said else "the process died without an exception")


def can_pass(failure: Failure) -> bool:
    """Whether trying again may help."""
    if not failure.kind:
        return True  # killed: by the kernel for its memory, with its node, by somebody
    cls = _class_of(failure.kind)
    if cls is None:
        return failure.kind.endswith(_CAN_PASS_BY_NAME)
    if issubclass(cls, _CAN_PASS):
        return not issubclass(cls, _CANNOT)
    return failure.kind.endswith(_CAN_PASS_BY_NAME)


def _class_of(name: str) -> type[BaseException] | None:
    """An exception's class, where this process has its module loaded; nothing is imported."""
    module, _, attribute = name.rpartition(".")
    owner: Any = sys.modules.get(module) if module else builtins
    found = getattr(owner, attribute, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def failure_of(trial: Trial) -> Failure | None:
    """A trial's last failure; ``None`` where it left no text."""
    if not trial.error_file or not Path(trial.error_file).is_file():
        return None
    return parse_failure(Path(trial.error_file).read_text(errors="replace"))


def give_up(controller: Any, trial: Trial, failure: Failure) -> None:
    """Make a trial that Tune has put back into its queue one that has failed for good.

    What Tune does itself once a trial's attempts are used up, in the same order.

    Args:
        controller: Tune's, bare.
        trial: PENDING, its process gone.
        failure: Why.
    """
    controller._scheduler_alg.on_trial_error(controller, trial)
    controller._search_alg.on_trial_complete(trial.trial_id, error=True)
    controller._schedule_trial_stop(trial, exception=RuntimeError(str(failure)))
    controller._callbacks.on_trial_error(
        iteration=controller._iteration, trials=controller._trials, trial=trial
    )
