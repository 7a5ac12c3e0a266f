"""Signals of a split's examples, from one pass over their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from typing import TypeVar

import torch
from torch import Tensor

from tune_select.selection.base import Signals
from tune_select.selection.heads.capture import HeadCall, HeadCapture
from tune_select.selection.heads.gradients import Features
from tune_select.selection.heads.labels import are_class_scores
from tune_select.selection.heads.precision import with_doubles

BatchT = TypeVar("BatchT", bound=Sized)
ToFeatures = Callable[[Sequence[HeadCall], Sequence[Tensor]], Features]
"""Features of B examples from the calls of the heads and the gradients p of each call."""


class FeatureCapture:
    """What the heads of a model saw, as selectors are given it.

    Args:
        capture: The capture of the heads.
        to_features: Makes features of it.
    """

    def __init__(self, capture: HeadCapture, to_features: ToFeatures) -> None:
        self._capture, self._to_features = capture, to_features

    def features(self, losses: Tensor) -> Features:
        """Inputs, output gradients and whether a bias counts, of the pass that gave the losses."""
        gradients = self._capture.call_gradients(losses)
        return self._to_features(self._capture.calls, gradients)


def losses_alone(
    labels: Tensor, batches: Iterable[BatchT], losses_of: Callable[[BatchT], Tensor]
) -> Signals:
    """Signals without inputs and gradients.

    Args:
        labels: int64 (n,) of all examples.
        batches: The examples in order.
        losses_of: Gives a batch's losses (B,).
    """
    with torch.inference_mode():
        losses = with_doubles(torch.cat([losses_of(batch).float() for batch in batches]))
    empty = torch.empty(len(labels), 0, device=losses.device)
    # A tensor made in inference mode may not be used where gradients are recorded: hand out a copy.
    return Signals(labels.to(losses.device), empty, empty, losses=losses.clone())


def with_gradients(
    labels: Tensor,
    batches: Iterable[BatchT],
    losses_of: Callable[[BatchT], Tensor],
    capture: FeatureCapture,
) -> Signals:
    """Signals with what selectors match.

    Args:
        labels: int64 (n,) of all examples.
        batches: The examples in order.
        losses_of: Gives a batch's losses (B,) by a forward pass that ``capture`` sees.
        capture: The capture of the model's heads.

    Raises:
        ValueError: What the heads saw has other rows than the examples.
    """
    size, start, has_bias = len(labels), 0, True
    inputs = output_gradients = losses = torch.empty(0)
    for batch in batches:
        batch_losses = losses_of(batch)
        seen, gradients, has_bias = capture.features(batch_losses)
        if seen.ndim != 2 or len(seen) != len(batch):
            raise ValueError(
                f"the head saw inputs of shape {tuple(seen.shape)} for {len(batch)} examples, not "
                f"({len(batch)}, D): override head_signals of the task"
            )
        if start == 0:  # whole arrays at once: concatenation would need twice the memory
            home = with_doubles(gradients)
            inputs = home.new_empty(size, seen.shape[1])
            output_gradients = home.new_empty(size, gradients.shape[1])
            losses = home.new_empty(size)
        stop = start + len(batch)
        inputs[start:stop] = seen
        output_gradients[start:stop] = gradients
        losses[start:stop] = batch_losses.detach()
        start = stop
    return Signals(
        labels.to(inputs.device),
        inputs,
        output_gradients,
        has_bias,
        losses,
        class_outputs=are_class_scores(labels, output_gradients),
    )
