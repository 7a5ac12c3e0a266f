"""Code of the user's that checking a sweep calls: it may raise, print, exit or never come back."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

PATIENCE_S = 60.0
"""Seconds that a call of the user's may take, such as of the function that gives the space."""


class OutOfPatienceError(BaseException):
    """Raised into code that has taken too long; not an Exception, which it might catch."""


@contextlib.contextmanager
def users_code(what: str, patience_s: float | None = None) -> Iterator[None]:
    """Run somebody else's code, so that whatever it does ends in one sentence.

    What it prints goes to stderr: a dry run's stdout is YAML. The time limit is a timer signal, so
    it holds in the main thread, and there also against code that sleeps. Nothing can be done about
    ``os._exit``, which ends the process, and about a loop inside an extension module.

    Args:
        what: Begins the sentence, up to its verb: ``space is 'a.b', which``.
        patience_s: Seconds after which it is given up; ``PATIENCE_S`` by default.

    Raises:
        ValueError: It raised, exited, or took longer; a ValueError of its own is passed on as one.
    """
    patience_s = PATIENCE_S if patience_s is None else patience_s
    try:
        with contextlib.redirect_stdout(sys.stderr), _timer(patience_s):
            yield
    except KeyboardInterrupt:
        raise
    except OutOfPatienceError:
        raise ValueError(
            f"{what} did not come back within {patience_s:g} s: make it return sooner, or "
            "write down what it computes"
        ) from None
    except BaseException as error:
        kind = type(error).__name__
        raise ValueError(f"{what} raised {kind}: {error!s:.300}") from error


@contextlib.contextmanager
def _timer(seconds: float) -> Iterator[None]:
    """Raise ``OutOfPatienceError`` after so long, and again each second until it is heeded."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def raise_it(number: int, frame: FrameType | None) -> None:
        raise OutOfPatienceError

    handler = signal.signal(signal.SIGALRM, raise_it)
    began = time.monotonic()
    left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        if left_s:  # somebody else's timer goes on
            left_s = max(left_s - (time.monotonic() - began), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left_s, interval_s)
