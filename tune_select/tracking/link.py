"""The driver's end of tracking: a spool to append to and the writer process behind it."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import replace
from pathlib import Path

from tune_select.secrets import mask_uri, recall_uri
from tune_select.storage import Folder

from .events import Event
from .process import Progress, WriterProcess, await_writer, print_progress
from .rejected import take_rejected
from .spool import SpoolAppender, count_unsent
from .target import Target

SPOOL_NAME = "tracking"  # within a results folder
_CHECK_EVERY_S = 5.0
_MOST_RESTARTS = 5

_log = logging.getLogger(__name__)


def spool_of(folder: str | os.PathLike[str]) -> Path:
    """The spool of a results folder."""
    return Path(folder).absolute() / SPOOL_NAME


def read_target(spool: Path) -> Target | None:
    """What a spool is about, its password masked, or None for a folder without a spool.

    A note that cannot be read, which a full disk may have cut off, is as good as none: whoever goes
    on with the sweep writes it anew.
    """
    try:
        return Target(**json.loads((spool / "target.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_target(spool: Path, target: Target) -> None:
    """Note what a spool is about, without the password.

    Raises:
        ValueError: The spool belongs to another sweep.
    """
    before = read_target(spool)
    if before is not None and before.sweep_id != target.sweep_id:
        raise ValueError(
            f"{spool} holds the tracking events of sweep_id {before.sweep_id}, got sweep_id "
            f"{target.sweep_id}: give the sweep a results folder of its own"
        )
    spool.mkdir(parents=True, exist_ok=True)
    masked = replace(target, tracking_uri=mask_uri(target.tracking_uri))
    Folder.at(spool).write("target.json", json.dumps(masked.as_dict(), indent=2).encode())


class SpoolLink:
    """One spool of this process: an appender and, while there is something to send, a writer.

    Use ``link_to``, which shares one per folder.
    """

    def __init__(self, spool: Path, target: Target) -> None:
        write_target(spool, target)
        self.spool = spool
        self.target = target
        self._appender = SpoolAppender(spool)
        self._writer: WriterProcess | None = None
        self._starts = 0
        self._checked_s = 0.0
        for event in take_rejected(spool):  # by an earlier driver's writer: it may pass today
            self._appender.append(event)

    def append(self, event: Event) -> None:
        """Spool an event and see to it that somebody sends it; never raises, never waits."""
        self._appender.append(event)
        now_s = time.monotonic()
        if self._writer is None or now_s - self._checked_s > _CHECK_EVERY_S:
            self._checked_s = now_s
            self._ensure_writer()

    def _ensure_writer(self) -> None:
        if self._writer is not None and not self._writer.is_alive():
            _log.warning("tracking: the writer process %d ended unexpectedly", self._writer.pid)
            self._writer.close()
            self._writer = None
        if self._writer is None and self._starts <= _MOST_RESTARTS:
            uri = recall_uri(self.target.tracking_uri)
            if uri is None:
                self._starts = _MOST_RESTARTS + 1
                _log.warning(
                    "tracking: the password of %s is not known to this process; events are kept in "
                    "%s. Name the full URI when resuming, or export it as MLFLOW_TRACKING_URI",
                    self.target.tracking_uri,
                    self.spool,
                )
                return
            self._starts += 1
            try:
                self._writer = WriterProcess(self.spool, replace(self.target, tracking_uri=uri))
            except OSError as error:
                _log.warning("tracking: cannot start the writer process: %s", error)

    def drain(self, timeout_s: float, progress: Progress = print_progress) -> bool:
        """Send everything, see ``await_writer``, and end the writer.

        Returns:
            Whether everything was sent; if not, the rest stays in the spool.
        """
        self._ensure_writer()
        writer, self._writer, self._starts = self._writer, None, 0
        if writer is None:
            return count_unsent(self.spool) == 0
        writer.drain()
        return await_writer(writer, self.spool, timeout_s, progress)

    def close(self) -> None:
        """Let another process use the spool; a writer still at work goes on by itself."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self._appender.close()


_links: dict[Path, SpoolLink] = {}


def link_to(spool: Path, target: Target) -> SpoolLink:
    """This process's link to a spool, opened if need be.

    Raises:
        SpoolBusyError: Another process logs to it.
        ValueError: It belongs to another sweep.
    """
    link = _links.get(spool)
    if link is None:
        link = _links[spool] = SpoolLink(spool, target)
    elif link.target != target:
        write_target(spool, target)
        link.target = target
    return link


def live_link(sweep_id: str) -> SpoolLink | None:
    """This process's open link of a sweep, wherever its spool is."""
    return next((link for link in _links.values() if link.target.sweep_id == sweep_id), None)


def release(spool: Path) -> None:
    """Close this process's link to a spool, if there is one."""
    link = _links.pop(spool, None)
    if link is not None:
        link.close()
