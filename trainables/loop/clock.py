"""Where a trial's seconds and joules go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from trainables.loop.energy import EnergyCounter

Phase = Literal["train", "select", "eval", "wait"]
PHASES: tuple[Phase, ...] = ("train", "select", "eval", "wait")


class PhaseClock:
    """Cumulative wall-clock seconds by phase, with the device synchronised at each switch.

    Phases may nest: the inner phase takes its seconds out of the outer one, so that a selection
    inside a training epoch counts once. Where a counter is given, joules are booked alike. It is
    read at each switch, a few times an epoch; seconds moved with :meth:`add`, such as the passes of
    mini-batch selectors, are too short for a counter and move no joules.
    """

    def __init__(
        self, device: torch.device | str = "cpu", counter: EnergyCounter | None = None
    ) -> None:
        self._device = torch.device(device)
        self._seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._open: list[Phase] = []
        self._since = 0.0
        self._counter = counter
        self._joules: dict[Phase, float] | None = (
            None if counter is None else dict.fromkeys(PHASES, 0.0)
        )
        self._since_j = 0.0

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

    @property
    def joules(self) -> float | None:
        """Joules of training and selection so far; ``None`` where a part was not counted.

        Evaluation and waiting are left out, as in the speed-ups.
        """
        return None if self._joules is None else self._joules["train"] + self._joules["select"]

    def joules_by_phase(self) -> dict[str, float]:
        """``{"train_j": ..., "select_j": ..., "eval_j": ..., "wait_j": ...}``, or nothing."""
        if self._joules is None:
            return {}
        self._switch()
        return {f"{name}_j": self._joules[name] for name in PHASES}

    def state_dict(self) -> dict[str, Any]:
        """The seconds and joules so far, for a checkpoint."""
        return {**self.seconds(), "joules": None if self._joules is None else {**self._joules}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Joules stay ``None`` once a part of the run was not counted."""
        for name in PHASES:
            self._seconds[name] = float(state[f"{name}_s"])
        joules = state["joules"]
        self._joules = None if self._counter is None or joules is None else {**joules}

    def _switch(self) -> None:
        # Without the synchronisation a GPU's queued work would be booked under a later phase.
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if self._open:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now
        if self._counter is not None and self._joules is not None:
            now_j = self._counter.joules()
            if self._open:
                self._joules[self._open[-1]] += now_j - self._since_j
            self._since_j = now_j
