"""How a training step's seconds divide between its two passes."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from trainables.loop.stopwatch import Stopwatch


class StepTimes:
    """Cumulative seconds of the steps' forward and backward passes (Jiang et al. 2019, Fig. 10).

    Both are part of the training phase; the rest of it is data, augmentation and bookkeeping. The
    forward passes of a selection are none of these: they are booked under ``select``.

    Args:
        device: Where the steps run.

    Attributes:
        forward: The context to be open from the inputs to the loss.
        backward: The context to be open from the loss to the updated weights: the optimizer's work
            is in it.
    """

    def __init__(self, device: torch.device) -> None:
        self.forward = Stopwatch(device)
        self.backward = Stopwatch(device)
        self._seconds = {"forward_s": 0.0, "backward_s": 0.0}

    def book(self) -> None:
        """Add what the stopwatches measured; waits for a GPU, so call it once an epoch."""
        self._seconds["forward_s"] += self.forward.read()
        self._seconds["backward_s"] += self.backward.read()

    def seconds(self) -> dict[str, float]:
        """``{"forward_s": ..., "backward_s": ...}`` as far as they are booked."""
        return dict(self._seconds)

    def state_dict(self) -> dict[str, float]:
        """The booked seconds, for a checkpoint."""
        return self.seconds()

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint; one from before steps were timed has nothing to go on from.

        What is missing stays unknown for the rest of the run rather than looking like a short one.
        """
        self._seconds = {name: float(state.get(name, float("nan"))) for name in self._seconds}
