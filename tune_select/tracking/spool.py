"""A journal on disk between the training loop and the tracking server.

The driver appends one JSON line per event and never waits for a server; the writer process reads
behind it and remembers how far it got. So the queue is as long as the disk, memory stays bounded,
and what was not sent when either process died is still there.

Layout of the folder: ``events-00000001.jsonl``, ... (a new segment per driver and per
``SEGMENT_BYTES``; deleted once sent), ``sent.json`` (position, and why nothing moves if nothing
does), what the server refused (``rejected``), two lock files.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_select.storage import Folder

from .events import Event

SEGMENT_BYTES = 4 << 20
BACKLOG_EVENTS = 100_000  # kept in memory while the disk refuses to take more

_log = logging.getLogger(__name__)


class SpoolBusyError(RuntimeError):
    """Another live process holds the spool."""


@dataclass(frozen=True, order=True)
class Position:
    """A place in the journal: segment number and byte offset in it."""

    segment: int = 0
    offset: int = 0


def _segment_path(folder: Path, number: int) -> Path:
    return folder / f"events-{number:08d}.jsonl"


def segment_numbers(folder: Path) -> list[int]:
    """The numbers of the segments in ``folder``, ascending."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("events-*.jsonl"))


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; the kernel releases it when the process dies.

    Raises:
        SpoolBusyError: Another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SpoolBusyError(
                f"another process {what} {path.parent}: wait until it has ended"
            ) from error
        yield
    finally:
        os.close(descriptor)


class SpoolAppender:
    """The driver's end: appends events, and never raises once it is open.

    Args:
        folder: The spool; made when it does not exist.
        segment_bytes: Size at which a new segment begins.

    Raises:
        SpoolBusyError: Another process appends to it.
    """

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.lost = 0  # events given up because disk and backlog were both full
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = locked(folder / "append.lock", "logs to")
        self._lock.__enter__()
        last = max([0, *segment_numbers(folder), read_status(folder).position.segment])
        self.segment = last
        self._descriptor = -1
        self._size = 0
        self._torn = False  # the last line on disk is incomplete
        self._backlog: deque[bytes] = deque()

    def append(self, event: Mapping[str, Any]) -> None:
        """Append one event; about 30 microseconds.

        When the disk refuses (full, gone for a while), events wait in memory, ``BACKLOG_EVENTS`` at
        most, and the next call tries again.
        """
        self._backlog.append(json.dumps(event, separators=(",", ":"), default=str).encode() + b"\n")
        try:
            while self._backlog:
                self._write(self._backlog[0])
                self._backlog.popleft()
        except OSError as error:
            if len(self._backlog) == 1:
                _log.warning(
                    "tracking: cannot write to %s (%s); keeping events in memory until "
                    "the disk takes them",
                    self.folder,
                    error,
                )
            if len(self._backlog) > BACKLOG_EVENTS:
                self._backlog.popleft()
                self.lost += 1

    def _write(self, line: bytes) -> None:
        if self._descriptor < 0 or self._size >= self._segment_bytes:
            self._next_segment()
        if self._torn:
            line = b"\n" + line
        written = os.write(self._descriptor, line)
        self._size += written
        self._torn = written < len(line)
        if self._torn:
            raise OSError(f"wrote {written} of {len(line)} bytes")

    def _next_segment(self) -> None:
        path = _segment_path(self.folder, self.segment + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self.segment += 1
        self._descriptor, self._size, self._torn = descriptor, 0, False

    def close(self) -> None:
        """Close the current segment and let another process append."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.__exit__(None, None, None)


@dataclass(frozen=True)
class Status:
    """How far the writer got, as it left it in ``sent.json``.

    Attributes:
        position: Everything before it has been sent.
        away_since_s: Unix time since when the server has not answered, or None.
        error: What it said last, passwords masked, or None.
    """

    position: Position = Position()
    away_since_s: float | None = None
    error: str | None = None


def read_status(folder: Path) -> Status:
    """Read ``sent.json``; a folder without one, or with half of one, is at its beginning.

    What is then sent again, the writer recognises.
    """
    try:
        found = json.loads((folder / "sent.json").read_text())
        position = Position(int(found["segment"]), int(found["offset"]))
        return Status(position, found["away_since_s"], found["error"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return Status()


def write_status(folder: Path, status: Status) -> None:
    """Replace ``sent.json`` in one step."""
    content = {
        "segment": status.position.segment,
        "offset": status.position.offset,
        "away_since_s": status.away_since_s,
        "error": status.error,
    }
    Folder.at(folder).write("sent.json", json.dumps(content).encode())


def read_events(
    folder: Path, start: Position, limit: int, last_segment: int | None = None
) -> tuple[list[Event], Position]:
    """Read whole lines after ``start``, from one segment at a time.

    Args:
        folder: The spool.
        start: Where to begin.
        limit: The most events to read.
        last_segment: Read no later segment than this.

    Returns:
        The events (none when nothing new is there), and the position behind them. A line that is
        not JSON (its writer died in the middle of it) is skipped with a warning.
    """
    events: list[Event] = []
    position = start
    for number in segment_numbers(folder):
        # A later segment is made only when the earlier ones are final, so an incomplete line at
        # the end of this one is either still being written or, when a later one exists, torn.
        if number < start.segment or (last_segment is not None and number > last_segment):
            continue
        offset = position.offset if number == position.segment else 0
        with _segment_path(folder, number).open("rb") as lines:
            lines.seek(offset)
            for line in lines:
                if not line.endswith(b"\n") or len(events) == limit:
                    break
                offset += len(line)
                if line != b"\n":
                    events.extend(_parsed(line, number, offset))
        position = Position(number, offset)
        if events:
            break
    return events, position


def _parsed(line: bytes, segment: int, offset: int) -> Iterator[Event]:
    try:
        event = json.loads(line)
    except ValueError:
        _log.warning(
            "tracking: skipped a broken line before byte %d of segment %d", offset, segment
        )
        return
    yield event


def forget_before(folder: Path, position: Position) -> None:
    """Delete the segments that lie wholly before ``position``."""
    for number in segment_numbers(folder):
        if number < position.segment:
            _segment_path(folder, number).unlink(missing_ok=True)


def count_unsent(folder: Path) -> int:
    """How many events wait in the spool."""
    position = read_status(folder).position
    unsent = 0
    while True:
        events, position = read_events(folder, position, limit=10_000)
        if not events:
            return unsent
        unsent += len(events)
