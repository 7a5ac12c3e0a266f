"""The writer process: reads the spool, sends it, waits for a server that is away.

It is a process of its own, so that neither importing mlflow (seconds of CPU) nor a request that
hangs is felt in Tune's loop, and so that it outlives a killed driver for long enough to send what
is left. Started by ``process.WriterProcess`` as ``python -m tune_select.tracking.writer``; the
first line of its standard input holds its settings (the tracking URI with its password among them:
a pipe shows in no process list), later lines are commands: ``drain`` (send everything, end) and
``stop``. At the end of its input the driver is gone: it sends what is there, marks the sweep KILLED
and ends.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from tune_select.secrets import expand_uri, mask_uri

from .events import Event, merge, now_ms
from .experiment import ExperimentDeletedError, ExperimentLostError
from .faults import describe, is_connectivity, is_hopeless
from .rejected import note_lost, put_aside
from .sender import Sender
from .spool import (
    SpoolBusyError,
    Status,
    forget_before,
    locked,
    read_events,
    read_status,
    segment_numbers,
    write_status,
)
from .sqlite_file import WatchedFile
from .target import Target, sqlite_path

POLL_S = 0.5
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0
EVENTS_AT_ONCE = 2000
ATTEMPTS = 6  # before an event that alone keeps failing is put aside
UNSENT_EXIT_CODE = 3

_log = logging.getLogger(__name__)


class StopSending(Exception):
    """The writer was told to end before everything was sent."""


@dataclass
class Orders:
    """What the writer has been told, set by the thread that reads its input.

    Attributes:
        drain: End once everything is sent.
        stop: End now.
        orphaned: The driver is gone.
        changed: Wakes whoever waits.
    """

    drain: bool = False
    stop: bool = False
    orphaned: bool = False

    def __post_init__(self) -> None:
        self.changed = threading.Event()

    def listen(self, commands: IO[str]) -> None:
        """Take commands until the input ends."""
        for line in commands:
            self.drain |= line.strip() == "drain"
            self.stop |= line.strip() == "stop"
            self.changed.set()
        self.orphaned = not (self.drain or self.stop)
        self.changed.set()


class Writer:
    """Sends a spool until told to end.

    Args:
        spool: Folder of the events.
        target: The sweep, with the full tracking URI.
        orders: What it is told meanwhile.
        orphan_limit_s: How long it tries to reach the server once its driver is gone.
    """

    def __init__(self, spool: Path, target: Target, orders: Orders, orphan_limit_s: float) -> None:
        self._spool = spool
        self._target = target
        self._orders = orders
        self._orphan_limit_s = orphan_limit_s
        self._orphaned_at: float | None = None
        self._status = read_status(spool)
        self._sender: Sender | None = None
        self._artifact_attempts = ATTEMPTS
        self._file = WatchedFile(sqlite_path(target.tracking_uri))
        self._last_segment: int | None = None
        self._refused = False  # said once, and again only after it went well in between

    def run(self) -> None:
        """Send until drained, and sit out a disk of the journal that is full or away.

        Raises:
            StopSending: Told to end with events unsent, or orphaned too long.
        """
        while True:
            try:
                if self._send_what_is_there():
                    return
            except OSError as error:
                self._say_refused(error)
                self._pause(LONGEST_WAIT_S)

    def _send_what_is_there(self) -> bool:
        """Send the next events, or wait a moment for some; returns whether that was all."""
        # Read before looking for events: what is spooled before the order is then sent.
        ending = self._is_ending()
        if self._orders.orphaned and self._last_segment is None:
            # A resumed driver may already be adding segments; those are its own writer's.
            self._last_segment = max([0, *segment_numbers(self._spool)])
        self._check_file()
        events, position = read_events(
            self._spool, self._status.position, EVENTS_AT_ONCE, self._last_segment
        )
        for event in merge(events):
            self._deliver(event)
        if position != self._status.position:
            self._note(replace(self._status, position=position))
            forget_before(self._spool, position)
        if events:
            return False
        if not ending:
            self._pause(POLL_S)
        elif self._orders.orphaned and self._sender is not None:
            self._patiently(lambda sender: sender.abandon(now_ms()))
        return ending

    def _deliver(self, event: Event) -> None:
        """Send one event however long it takes; one that is refused for good is put aside."""
        # Artifacts have a store of their own. Where it cannot be written, numbers must not wait for
        # it, and the second artifact need not find out what the first has found out.
        is_artifact = event["kind"] == "artifact"
        attempts = self._artifact_attempts if is_artifact else ATTEMPTS
        try:
            self._patiently(lambda sender: sender.send(event), attempts, is_artifact)
        except StopSending:
            raise
        except Exception as error:
            reason = describe(error)
            _log.warning("tracking: MLflow refused a %s event: %s", event["kind"], reason)
            put_aside(self._spool, event, reason)
            self._artifact_attempts = 1 if is_artifact else self._artifact_attempts
        else:
            self._artifact_attempts = ATTEMPTS if is_artifact else self._artifact_attempts

    def _patiently(
        self, act: Callable[[Sender], None], attempts: int = ATTEMPTS, is_artifact: bool = False
    ) -> None:
        """Repeat ``act`` until it succeeds, and raise its error when repeating it cannot help.

        Args:
            act: What is to be done.
            attempts: The number of failures after which it is to blame, while the server answers
                otherwise.
            is_artifact: Whether it needs another store than the server.
        """
        wait_s = FIRST_WAIT_S
        failures = 0
        while True:
            connected = False
            try:
                if self._sender is None:
                    self._sender = Sender(self._expanded(), self._spool.parent)
                self._sender.connect()
                connected = True
                act(self._sender)
            except Exception as error:
                # Before the connection stands nothing is wrong with the event itself.
                away = self._why_silent() if connected else error
                if away is None and (is_artifact or not is_connectivity(error)):
                    failures += 1
                if away is None and (is_hopeless(error) or failures >= attempts):
                    raise
                away = away or error
                self._note_away(away)
                if isinstance(away, ExperimentDeletedError) and self._is_ending():
                    raise StopSending from None  # its events stay for whoever restores it
            else:
                if self._status.away_since_s is not None:
                    _log.warning("tracking: %s is back", mask_uri(self._target.tracking_uri))
                    self._note(replace(self._status, away_since_s=None, error=None))
                return
            self._pause(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _check_file(self) -> None:
        """End with a database that is not there any more; a new process will make another.

        MLflow would go on writing to the deleted file, without an error.

        Raises:
            StopSending: It was deleted or replaced.
        """
        if self._file.is_lost():
            note_lost(self._spool)
            _log.warning(
                "tracking: %s was deleted or replaced while it was written to; what is missing in "
                "it is logged again from the trials' own reports",
                mask_uri(self._target.tracking_uri),
            )
            raise StopSending

    def _is_ending(self) -> bool:
        return self._orders.drain or self._orders.orphaned

    def _why_silent(self) -> Exception | None:
        """Why the server takes no simple request either; ``None`` when it is the event that fails.

        What was known of the runs is forgotten where it may not hold any more.
        """
        assert self._sender is not None
        try:
            self._sender.ping()
        except Exception as error:
            if isinstance(error, ExperimentLostError):
                note_lost(self._spool)
            if isinstance(error, ExperimentLostError | ExperimentDeletedError):
                self._sender = None
            return error
        return None

    def _expanded(self) -> Target:
        return replace(self._target, tracking_uri=expand_uri(self._target.tracking_uri))

    def _pause(self, seconds: float) -> None:
        if self._orders.orphaned and self._orphaned_at is None:
            self._orphaned_at = time.monotonic()
        if self._orders.stop or (
            self._orphaned_at is not None
            and time.monotonic() - self._orphaned_at > self._orphan_limit_s
        ):
            raise StopSending
        if not self._orders.drain:  # while draining, only time itself brings the server back
            self._orders.changed.clear()
            self._orders.changed.wait(seconds)
        else:
            deadline = time.monotonic() + min(seconds, 2.0)
            while time.monotonic() < deadline and not self._orders.stop:
                time.sleep(0.05)

    def _note_away(self, error: Exception) -> None:
        text = describe(error)
        if self._status.away_since_s is None:
            _log.warning(
                "tracking: %s takes no events (%s); the training goes on, events are kept in %s",
                mask_uri(self._target.tracking_uri),
                text,
                self._spool,
            )
        since_s = self._status.away_since_s or time.time()
        self._note(replace(self._status, away_since_s=since_s, error=text))

    def _note(self, status: Status) -> None:
        self._status = status
        try:
            write_status(self._spool, status)
        except OSError as error:  # a full disk; what is then sent twice is recognised
            self._say_refused(error)
        else:
            self._refused = False

    def _say_refused(self, error: OSError) -> None:
        if not self._refused:
            _log.warning("tracking: %s takes no files: %s", self._spool, error)
        self._refused = True


def prepare_environment() -> None:
    """Set MLflow's knobs for a process whose own loop does the retrying."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    # A traceback of a hundred lines for each try that a full disk refuses; the writer says it.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def main() -> int:
    """Run the writer process: 0 when everything was sent, 3 when events are left."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    prepare_environment()
    os.nice(5)  # training comes first where cores are scarce
    settings = json.loads(sys.stdin.readline())
    spool = Path(settings["spool"])
    orders = Orders()
    threading.Thread(target=orders.listen, args=(sys.stdin,), daemon=True).start()
    while True:
        try:
            with locked(spool / "send.lock", "sends from"):
                Writer(
                    spool, Target(**settings["target"]), orders, settings["orphan_limit_s"]
                ).run()
            return 0
        except SpoolBusyError:  # the writer of a killed driver is still at it
            if orders.stop or orders.orphaned:
                return UNSENT_EXIT_CODE
            time.sleep(POLL_S)
        except StopSending:
            return UNSENT_EXIT_CODE
        except OSError as error:  # of the lock; what is not sent stays where it is
            _log.warning("tracking: cannot send from %s: %s", spool, error)
            return UNSENT_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main())
