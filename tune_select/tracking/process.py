"""Starts the writer process, talks to it, waits for it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from .rejected import is_lost, rejected_reasons
from .spool import count_unsent, read_status
from .target import Target

ORPHAN_LIMIT_S = 60.0
_FIRST_LOOK_S = 3.0  # before anything is said; then less and less often

_log = logging.getLogger(__name__)

Progress = Callable[[str], None]


def print_progress(line: str) -> None:
    """Show a line of progress on the terminal (standard error)."""
    print(line, file=sys.stderr, flush=True)


class WriterProcess:
    """Runs ``writer`` on a spool.

    Args:
        spool: The folder.
        target: The sweep, with the full tracking URI.
        orphan_limit_s: How long it goes on without its driver.
    """

    def __init__(self, spool: Path, target: Target, orphan_limit_s: float = ORPHAN_LIMIT_S) -> None:
        # Found also when the package is not installed but merely on this process's path.
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tune_select.tracking.writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the driver, which then drains
        )
        settings = {
            "spool": str(spool),
            "target": target.as_dict(),
            "orphan_limit_s": orphan_limit_s,
        }
        self._tell(json.dumps(settings))

    @property
    def pid(self) -> int:
        """The writer's process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _tell(self, line: str) -> None:
        try:
            self._stdin().write(line.encode() + b"\n")
            self._stdin().flush()
        except (BrokenPipeError, ValueError):
            _log.warning("tracking: the writer process has ended early")

    def drain(self) -> None:
        """Tell it to send everything and end."""
        self._tell("drain")

    def abandon(self) -> None:
        """Close its input: it sends what is there, marks what is open KILLED, and ends."""
        self.close()
        threading.Thread(target=self._process.wait, daemon=True).start()  # no zombie is left

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None when it still runs after ``timeout_s``."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End it, leaving the rest in the spool."""
        self._tell("stop")
        if self.wait(5.0) is None:
            self._process.terminate()
            if self.wait(5.0) is None:
                self._process.kill()
                self._process.wait()
        self.close()

    def close(self) -> None:
        """Close the pipe to it."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin().close()


def await_writer(writer: WriterProcess, spool: Path, timeout_s: float, progress: Progress) -> bool:
    """Wait until a draining writer has sent everything.

    Args:
        writer: The process, told to drain.
        spool: Its folder.
        timeout_s: Longest wait in which nothing could be sent (a writer that is merely slow is
            given ten times as long in all); then it is stopped and the rest stays in the spool.
        progress: Gets a line now and then, and one when something is left.

    Returns:
        Whether everything was sent.
    """
    unsent = count_unsent(spool)
    now_s = time.monotonic()
    give_up_s, last_s = now_s + timeout_s, now_s + 10 * timeout_s
    look_s = _FIRST_LOOK_S
    while (left_s := min(give_up_s, last_s) - time.monotonic()) > 0:
        if writer.wait(min(look_s, left_s)) is not None:
            writer.close()
            break
        before, unsent = unsent, count_unsent(spool)
        if unsent < before:
            give_up_s = time.monotonic() + timeout_s
        if unsent:
            progress(f"MLflow: {_waiting(spool)}; waiting at most {max(0.0, left_s):.0f} s more")
            look_s = min(1.5 * look_s, 20.0)
    else:
        writer.stop()
    unsent = count_unsent(spool)
    if unsent:
        progress(
            f"MLflow: {_waiting(spool)}. They are kept in {spool} and are sent by the next "
            f"`tune-select run --resume`, or by `tune_select.tracking.flush_spool`"
        )
    reasons = rejected_reasons(spool)
    if reasons:
        progress(
            f"MLflow refused {len(reasons):,} events, the last with: {reasons[-1]}. They are kept "
            f"in {spool} and are tried again by the next `tune-select run --resume`"
        )
    if is_lost(spool):
        progress(
            "MLflow has lost what was logged before (its database was deleted, or its experiment): "
            "it is logged again by the next `tune-select run --resume`"
        )
    return unsent == 0


def _waiting(spool: Path) -> str:
    status = read_status(spool)
    text = f"{count_unsent(spool):,} events to send"
    if status.away_since_s is not None:
        since = time.strftime("%H:%M:%S", time.localtime(status.away_since_s))
        text += f", server away since {since} ({status.error})"
    return text
