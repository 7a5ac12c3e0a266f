"""Where a trial's seconds and joules go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from trainables.energy import EnergyCounter

Phase = Literal["train", "select", "eval", "wait"]
PHASES: tuple[Phase, ...] = ("train", "select", "eval", "wait")


class PhaseClock:
    """Cumulative wall-clock seconds by phase, with the device synchronised at each switch.

    Phases may nest: the inner phase takes its seconds out of the outer one, so that a selection
    inside a training epoch counts once. Where a counter is given, the joules of training and
    selection are summed too, evaluation and waiting left out as in the speed-ups.
    """

    def __init__(
        self, device: torch.device | str = "cpu", counter: EnergyCounter | None = None
    ) -> None:
        self._device = torch.device(device)
        self._seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._open: list[Phase] = []
        self._since = 0.0
        self._counter = counter
        self._joules: float | None = None if counter is None else 0.0

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Book the seconds spent inside under ``name``."""
        self._switch()
        # Only the outermost phase reads the counter, which is slower than a clock.
        metered = not self._open and name in ("train", "select") and self._joules is not None
        before_j = self._counter.joules() if metered and self._counter is not None else 0.0
        self._open.append(name)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()
            if metered and self._counter is not None and self._joules is not None:
                self._joules += self._counter.joules() - before_j

    def add(self, name: Phase, seconds: float) -> None:
        """Book seconds that were spent elsewhere (a selection done before a restart, say)."""
        self._seconds[name] += seconds

    def seconds(self) -> dict[str, float]:
        """``{"train_s": ..., "select_s": ..., "eval_s": ..., "wait_s": ...}`` so far."""
        self._switch()
        return {f"{name}_s": self._seconds[name] for name in PHASES}

    @property
    def joules(self) -> float | None:
        """Joules of training and selection so far; ``None`` where a part was not counted."""
        return self._joules

    def state_dict(self) -> dict[str, Any]:
        """The seconds and joules so far, for a checkpoint."""
        return {**self.seconds(), "joules": self._joules}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Joules stay ``None`` once a part of the run was not counted."""
        for name in PHASES:
            self._seconds[name] = float(state[f"{name}_s"])
        self._joules = None if self._counter is None else state["joules"]

    def _switch(self) -> None:
        # Without the synchronisation a GPU's queued work would be booked under a later phase.
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if self._open:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now
