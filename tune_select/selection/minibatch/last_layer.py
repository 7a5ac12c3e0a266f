"""Norms and inner products of last-layer gradients that are never materialised.

Example i has the gradient p_i h_i^T for the last layer's weights and p_i for its bias, with h_i the
layer's input and p_i the loss's gradient at its output (Balles et al., eq. 3). A sequence of T
positions adds up T such terms.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from tune_select.selection.minibatch.base import BatchSignals

_CHUNK_ELEMENTS: Final = 2**24
"""Elements of gradients held at once where they are materialised; 64 MiB in float32."""


def gradient_norms(signals: BatchSignals) -> Tensor:
    """Norms (M,) of the last-layer gradients.

    ||g||^2 = (||h||^2 + 1) ||p||^2, and for sequences the sum over all pairs of positions s and t
    of (h_s . h_t + 1)(p_s . p_t).
    """
    inputs, output_gradients = require_gradients(signals)
    bias = float(signals.bias)
    if inputs.ndim == 2:
        squared = (inputs.square().sum(1) + bias) * output_gradients.square().sum(1)
        return squared.sqrt()
    pairs = (inputs @ inputs.mT + bias) * (output_gradients @ output_gradients.mT)
    # Rounding may take a sum that is zero a little below it.
    return pairs.sum((1, 2)).clamp(min=0).sqrt()


def gradient_gram(signals: BatchSignals) -> Tensor:
    """Inner products (M, M) of the last-layer gradients: K = (P P^T) * (H H^T + 1).

    This is eq. 4 of Balles et al. For sequences K_ij is the sum over all pairs of positions.
    """
    inputs, output_gradients = require_gradients(signals)
    bias = float(signals.bias)
    if inputs.ndim == 2:
        return (output_gradients @ output_gradients.T) * (inputs @ inputs.T + bias)
    return _sequence_gram(inputs, output_gradients, bias)


def _sequence_gram(inputs: Tensor, output_gradients: Tensor, bias: float) -> Tensor:
    """K for (M, T, D) and (M, T, C), by whichever way takes fewer multiplications."""
    size, length, width = inputs.shape
    outputs = output_gradients.shape[2]
    if size * length**2 * (outputs + width) <= outputs * width * (length + size):
        flat_inputs, flat_gradients = inputs.flatten(0, 1), output_gradients.flatten(0, 1)
        pairs = (flat_gradients @ flat_gradients.T) * (flat_inputs @ flat_inputs.T + bias)
        return pairs.view(size, length, size, length).sum((1, 3))
    bias_gradients = output_gradients.sum(1)
    gram = bias * (bias_gradients @ bias_gradients.T)
    # The gradients themselves, some outputs at a time: a large vocabulary would fill the memory.
    chunk = max(1, _CHUNK_ELEMENTS // (size * width))
    for some in torch.split(output_gradients, chunk, dim=2):
        gradients = (some.mT @ inputs).flatten(1)
        gram.addmm_(gradients, gradients.T)
    return gram


def require_gradients(signals: BatchSignals) -> tuple[Tensor, Tensor]:
    """Inputs and output gradients of the last layer, at least float32.

    Raises:
        ValueError: They were not collected, do not belong together, or (on a CPU) are not finite.
    """
    inputs, output_gradients = signals.inputs, signals.output_gradients
    if inputs.shape[-1] == 0 or output_gradients.shape[-1] == 0:
        raise ValueError(
            "this selector needs the inputs and output gradients of a last linear layer, and got "
            f"shapes {tuple(inputs.shape)} and {tuple(output_gradients.shape)}: use a model with a "
            "linear head, or a selector that needs losses alone"
        )
    if inputs.shape[:-1] != output_gradients.shape[:-1] or inputs.shape[0] != len(signals):
        raise ValueError(
            f"inputs {tuple(inputs.shape)} and output_gradients {tuple(output_gradients.shape)} "
            f"must agree in all but their last dimension and hold {len(signals)} examples"
        )
    if inputs.ndim > 3:
        raise ValueError(
            f"inputs must be (M, D) or (M, T, D), got {tuple(inputs.shape)}: flatten the positions"
        )
    if inputs.device.type == "cpu" and not bool(torch.isfinite(output_gradients).all()):
        raise ValueError("output_gradients hold NaN or infinite values: lower the learning rate")
    dtype = torch.promote_types(inputs.dtype, torch.float32)
    return inputs.to(dtype), output_gradients.to(dtype)
