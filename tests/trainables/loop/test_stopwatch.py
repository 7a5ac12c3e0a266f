"""Seconds of pieces of work, by the clock and by a device's events."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import pytest
import torch

from trainables.loop.stopwatch import Stopwatch


def test_pieces_add_up_until_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    watch = Stopwatch(torch.device("cpu"))
    assert watch.read() == 0.0
    for seconds in (2.0, 3.0):
        with watch:
            now[0] += seconds
        now[0] += 100.0
    assert watch.read() == 5.0
    assert watch.read() == 0.0
    with contextlib.suppress(KeyError), watch:
        now[0] += 1.0
        raise KeyError
    assert watch.read() == 1.0, "work that failed took its time too"


class Event:
    """A CUDA event on a stream that is at a given millisecond."""

    at_ms: ClassVar[float] = 0.0
    waits: ClassVar[list[float]] = []

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = Event.at_ms

    def synchronize(self) -> None:
        Event.waits.append(self.at)

    def elapsed_time(self, other: Any) -> float:
        return float(other.at - self.at)


def test_on_a_gpu_the_streams_time_counts_and_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(Event, "waits", [])
    watch = Stopwatch(torch.device("cuda"))
    for milliseconds in (250.0, 1250.0):
        with watch:
            Event.at_ms += milliseconds
        Event.at_ms += 9000.0
    assert Event.waits == []
    assert watch.read() == pytest.approx(1.5)
    assert Event.waits == [Event.at_ms - 9000.0], "for the last of them"
    with watch:
        Event.at_ms += 500.0
    assert watch.read() == pytest.approx(0.5)
