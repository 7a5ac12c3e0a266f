"""What asks a running sweep to stop: a signal, or the end of its time budget.

The first signal is only noted. The sweep looks at safe points: the scheduler at every step of
Tune's, the sweep itself between its phases. So nothing is torn in the middle, and what was trained
is saved. The second signal ends the process at once, as SIGKILL would, which loses nothing either:
everything that a resume needs is on disk at any time, Ray's processes end with their driver, and
the tracker's own process sends what it has. Tune's handler is kept out: it takes the first Ctrl-C
to itself and lets the caller go on as if the search had finished.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tune_select.sweep.ending import Ending, signal_name

_ECHO_S = 0.3  # a launcher hands on the Ctrl-C that the terminal has sent us as well
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """The sweep was asked to stop, and is at a point where it can."""


class Interruption:
    """Notes that a sweep is to stop; one per running sweep.

    Args:
        budget_s: Seconds after which the sweep stops by itself; ``None`` for no limit.
    """

    def __init__(self, budget_s: float | None = None) -> None:
        self._budget_s = budget_s
        self._deadline_s: float | None = None
        self._signal: int | None = None
        self._noted_s = 0.0
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Take over the signals; again after ``ray.init``, which puts handlers of its own.

        Only the main thread may; a sweep that is run by another thread is left to its process. A
        signal that is ignored (SIGHUP under ``nohup``) stays so.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before != signal.SIG_IGN and number not in self._before:
                self._before[number] = before
            if number in self._before:
                signal.signal(number, self._note)

    def release(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def start_clock(self) -> None:
        """The time budget begins to run, once the sweep can train."""
        if self._budget_s is not None:
            self._deadline_s = time.monotonic() + self._budget_s

    def stop_clock(self) -> None:
        """Training is over: what is left to do, the report, is not cut off."""
        self._deadline_s = None

    def ending(self) -> Ending | None:
        """Why the sweep is to stop; ``None`` when it may go on."""
        if self._signal is not None:
            return Ending.interrupted(self._signal)
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            assert self._budget_s is not None
            return Ending.out_of_budget(self._budget_s)
        return None

    def check(self) -> None:
        """A point where the sweep can stop.

        Raises:
            StopRequested: It is to stop.
        """
        ending = self.ending()
        if ending is not None:
            raise StopRequested(ending.reason)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == self._signal and time.monotonic() - self._noted_s < _ECHO_S:
            return
        if self._signal is not None:
            _say("tune-select: ended at once; nothing is lost\n")
            os._exit(128 + number)
        self._signal, self._noted_s = number, time.monotonic()
        _say(
            f"\ntune-select: {signal_name(number)}: saving what runs and writing the report; "
            "once more ends at once\n"
        )


_current: Interruption | None = None


def stop_requested() -> bool:
    """Whether this process's sweep is to stop; a function, so that schedulers can be pickled."""
    return _current is not None and _current.ending() is not None


@contextmanager
def interruptible(budget_s: float | None = None) -> Iterator[Interruption]:
    """Let signals and a time budget end what runs inside.

    Args:
        budget_s: See ``Interruption``.
    """
    global _current
    before, _current = _current, Interruption(budget_s)
    _current.listen()
    try:
        yield _current
    finally:
        _current.release()
        _current = before


def _say(text: str) -> None:
    # Past Python's buffers: the handler may have interrupted somebody who writes to them.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, text.encode())
