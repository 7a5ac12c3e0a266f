"""Back from the gradients of a softmax cross-entropy to the probabilities behind them."""

from __future__ import annotations

import torch
from torch import Tensor

from tune_select.selection.base import Signals


def probabilities(signals: Signals, user: str) -> Tensor:
    """The model's class probabilities, ``p_i + onehot(label_i)``, (n, C).

    A loss scaled down, or smoothed labels, cannot be told from a softmax that is less certain.

    Args:
        signals: The signals of n examples.
        user: Who needs them, for the error.

    Raises:
        ValueError: The gradients are not those of a softmax cross-entropy on the labels.
    """
    outputs, labels = signals.output_gradients, signals.labels
    if int(labels.max()) < outputs.shape[1]:
        found = outputs.clone()
        found[torch.arange(len(signals), device=found.device), labels.to(found.device)] += 1.0
        # 1e-2 leaves room for half-precision logits, not for another loss.
        one = bool(((found.sum(1) - 1.0).abs() < 1e-2).all())
        if one and float(found.min()) > -1e-2:
            return found.clamp_(min=0.0)
    raise ValueError(
        f"{user} needs the gradients of a plain softmax cross-entropy (softmax - onehot(label)), "
        "but those of this task are not: choose a selector that takes any loss, such as gradmatch"
    )
