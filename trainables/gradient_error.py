"""How well a weighted subset reproduces the mean last-layer gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from tune_select.selection.base import Signals


def gradient_error(signals: Signals, indices: Tensor, weights: Tensor) -> float:
    """Relative error ||sum_i w_i g_i / sum_i w_i - mean g|| / ||mean g|| over the whole last layer.

    One measure for every selector, whatever it matched itself (Killamsetty et al. 2021, Table 8).
    Costs two (C, n) x (n, D) products.

    Args:
        signals: Of the n training examples, with gradients.
        indices: int64 (k,).
        weights: float32 (k,), not all zero.
    """
    device = signals.inputs.device
    chosen = indices.to(device)
    everything = torch.full((len(signals),), 1 / len(signals), device=device)
    share = (weights / weights.sum()).to(device, torch.float32)
    full = _weighted_gradient(signals, torch.arange(len(signals), device=device), everything)
    return float((_weighted_gradient(signals, chosen, share) - full).norm() / full.norm())


def random_gradient_error(signals: Signals, size: int, generator: torch.Generator) -> float:
    """``gradient_error`` of ``size`` examples drawn at random, equally weighted."""
    indices = torch.randperm(len(signals), generator=generator)[:size]
    return gradient_error(signals, indices, torch.ones(size))


def _weighted_gradient(signals: Signals, indices: Tensor, weights: Tensor) -> Tensor:
    """sum_i w_i p_i [h_i, 1]^T, (C, D + 1) or (C, D)."""
    outputs = signals.output_gradients[indices] * weights[:, None]
    product = outputs.T @ signals.inputs[indices]
    if not signals.bias:
        return product
    return torch.cat([product, outputs.sum(0)[:, None]], dim=1)
