"""What MLflow did not take although it answered, kept in the journal's folder for another try.

``rejected.jsonl`` has a line per event with its reason; ``lost`` is there when the whole experiment
was gone, so that a driver logs everything again from the trials' own reports.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from .events import Event

_REJECTED, _LOST = "rejected.jsonl", "lost"


def put_aside(spool: Path, event: Event, reason: str) -> None:
    """Keep an event that was refused.

    Args:
        spool: The journal's folder.
        event: The event as it was sent (``events.merge``).
        reason: The reason in one line, passwords masked.
    """
    line = json.dumps({"reason": reason, "event": event}).encode() + b"\n"
    with (spool / _REJECTED).open("a+b") as rejected:
        if rejected.tell():
            rejected.seek(-1, os.SEEK_END)
            half = rejected.read() != b"\n"  # a full disk cut the last one off
            line = b"\n" + line if half else line
        rejected.write(line)


def rejected_reasons(spool: Path) -> list[str]:
    """Why each of the events was refused that wait for another try."""
    return [str(line["reason"]) for line in _lines(spool)]


def take_rejected(spool: Path) -> list[Event]:
    """Take out the events that were refused, to be appended again.

    They come late: what MLflow has by now is not to be logged twice, nor a run to be opened again,
    so a trial's start and its reports become events that log what is lacking.
    """
    events = [_late(line["event"]) for line in _lines(spool)]
    (spool / _REJECTED).unlink(missing_ok=True)
    return events


def note_lost(spool: Path) -> None:
    """Note that the experiment is gone with everything that was logged to it."""
    (spool / _LOST).touch()


def is_lost(spool: Path) -> bool:
    """Whether what was logged before is gone."""
    return (spool / _LOST).exists()


def forget_lost(spool: Path) -> None:
    """To be called once everything is logged again."""
    (spool / _LOST).unlink(missing_ok=True)


def _lines(spool: Path) -> Iterator[Event]:
    try:
        text = (spool / _REJECTED).read_text(errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue  # cut off by a full disk
        if isinstance(found, dict) and {"reason", "event"} <= set(found):
            yield found


def _late(event: Event) -> Event:
    if event["kind"] not in ("start", "metrics") or event.get("trial") is None:
        return event
    points = event.get("points", [])
    first_ms = points[0][1] if points else event.get("time_ms", 0)
    own = {key: event.get(key, {}) for key in ("params", "tags")}
    name = {"name": event["name"]} if "name" in event else {}
    kind = {"kind": "past", "trial": event["trial"], "time_ms": first_ms, "status": None}
    return {**kind, **name, **own, "points": points}
