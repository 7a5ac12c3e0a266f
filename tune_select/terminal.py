"""The terminal of a command: it may be gone, and may ask to stop before there is much to save.

A reader that ends early (``| head``), a closed window or a full log disk make every later write
fail. A sweep goes on without them: what it says is in its report and its files as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LastingStream:
    """A text stream whose writes never fail: what cannot be written any more is dropped.

    Args:
        stream: Standard output or standard error.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop."""
        try:
            self._stream.write(text)
        except OSError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def writelines(self, lines: Any) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self) -> None:
        # Python's own buffer still holds what failed and would try again at the process's end.
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())


def keep_streams() -> None:
    """Let this process outlive its standard output and error; once, at the start of a command."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: or the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, LastingStream):
            setattr(sys, name, LastingStream(stream))


def end_on_signals() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end the process with the status that a shell expects.

    For the time before a sweep takes them over (``sweep.interruption``): nothing is trained yet, so
    there is nothing to save. What is ignored (SIGHUP under ``nohup``) stays so.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    with contextlib.suppress(OSError):  # past Python's buffers, which somebody may be writing to
        os.write(2, f"\ntune-select: {name}: ended, nothing was being trained\n".encode())
    raise SystemExit(128 + number)
