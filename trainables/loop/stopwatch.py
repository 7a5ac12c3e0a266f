"""Seconds spent in a piece of work that comes back many times per epoch."""

from __future__ import annotations

import time
from types import TracebackType

import torch


class Stopwatch:
    """Adds up the seconds inside its ``with`` blocks, without waiting for a GPU at each.

    On CUDA, events are recorded around the work and read once at the end; what is measured is then
    the time that the device's stream spent between them.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._seconds = 0.0
        self._since = 0.0
        self._events: list[torch.cuda.Event] = []

    def __enter__(self) -> None:
        self._mark()
        self._since = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._seconds += time.perf_counter() - self._since
        self._mark()

    def read(self) -> float:
        """Seconds since the last reading; on CUDA this waits for the device."""
        seconds, self._seconds = self._seconds, 0.0
        if self._cuda and self._events:
            self._events[-1].synchronize()
            pairs = zip(self._events[::2], self._events[1::2], strict=True)
            seconds = sum(start.elapsed_time(end) for start, end in pairs) / 1e3  # from ms
            self._events = []
        return seconds

    def _mark(self) -> None:
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            self._events.append(event)
