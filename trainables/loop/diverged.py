"""The end of a training whose numbers are no numbers any more."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.settings.trial import TrialSettings


class TrainingDivergedError(ArithmeticError):
    """A loss was not finite; the message says where."""


def check_finite(
    values: Tensor, name: str, epoch: int, settings: TrialSettings, *, of_batches: bool = False
) -> None:
    """Refuse a loss or metric that is not finite.

    Args:
        values: float (m,) on the CPU: one, or one for each mini-batch of an epoch.
        name: What they are called in reports.
        epoch: The epoch, from 1.
        settings: The trial's.
        of_batches: Whether there is one for each mini-batch, so that the first is named.

    Raises:
        TrainingDivergedError: One is not.
    """
    bad = torch.nonzero(~torch.isfinite(values)).flatten()
    if not len(bad):
        return
    where = f" in batch {int(bad[0]) + 1} of {len(values)}" if of_batches else ""
    raise TrainingDivergedError(
        f"{name} became {float(values[bad[0]])} in epoch {epoch}{where} (arm {settings.arm!r}, "
        f"model {settings.model!r}, optimizer {settings.optimizer!r}, learning_rate "
        f"{settings.learning_rate:g}): lower the learning rate, add warmup_epochs or clip_norm, or "
        "look for NaN in the data"
    )
