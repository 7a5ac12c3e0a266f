"""Where a trial's seconds go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Phase = Literal["train", "select", "eval", "wait"]
PHASES: tuple[Phase, ...] = ("train", "select", "eval", "wait")


class PhaseClock:
    """Cumulative wall-clock seconds by phase, with the device synchronised at each switch.

    Phases may nest: the inner phase takes its seconds out of the outer one, so that a selection
    inside a training epoch counts once.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._open: list[Phase] = []
        self._since = 0.0

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Book the seconds spent inside under ``name``."""
        self._switch()
        self._open.append(name)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    def add(self, name: Phase, seconds: float) -> None:
        """Book seconds that were spent elsewhere (a selection done before a restart, say)."""
        self._seconds[name] += seconds

    def seconds(self) -> dict[str, float]:
        """``{"train_s": ..., "select_s": ..., "eval_s": ..., "wait_s": ...}`` so far."""
        self._switch()
        return {f"{name}_s": self._seconds[name] for name in PHASES}

    def state_dict(self) -> dict[str, float]:
        """The seconds so far, for a checkpoint."""
        return self.seconds()

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from the seconds of a checkpoint."""
        for name in PHASES:
            self._seconds[name] = float(state[f"{name}_s"])

    def _switch(self) -> None:
        # Without the synchronisation a GPU's queued work would be booked under a later phase.
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if self._open:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now
