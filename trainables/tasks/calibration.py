"""Temperature scaling: what a classifier's loss would be if it were as sure as it ought to be."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tune_select.selection.heads.precision import double

_LARGEST = 100.0  # of the factor and its reciprocal; separable logits would take it to infinity
_STEPS = 60


def inverse_temperature(logits: Tensor, labels: Tensor) -> float:
    """The factor b = 1 / T of the logits at which the mean cross-entropy is least.

    Guo et al. 2017, section 4.2: one temperature T for all classes, fitted on held-out examples.
    The loss is convex in b, so its minimum in [1 / 100, 100] is where the slope, the mean of
    E_softmax(b z)[z] - z_y, changes its sign. Newton's steps find it, each kept within the bracket
    that the signs seen so far leave, by halving where it would leave it.

    Args:
        logits: z, float (n, C), with n at least 1.
        labels: y, int64 (n,).
    """
    z = double(logits)
    of_label = z.gather(1, labels.to(z.device)[:, None])
    low, high, factor = 1 / _LARGEST, _LARGEST, 1.0
    for _ in range(_STEPS):
        probabilities = (factor * z).softmax(1)
        mean = (probabilities * z).sum(1, keepdim=True)
        slope = float((mean - of_label).mean())
        if slope == 0:
            break
        low, high = (factor, high) if slope < 0 else (low, factor)
        curvature = float((probabilities * (z - mean).square()).sum(1).mean())
        step = factor - slope / curvature if curvature > 0 else 0.0
        updated = step if low < step < high else (low * high) ** 0.5
        if abs(updated - factor) <= 1e-9 * factor:
            break
        factor = updated
    return factor


def calibrated_loss(logits: Tensor, labels: Tensor) -> float:
    """Mean cross-entropy in nats at the best temperature for these examples.

    Args:
        logits: (n, C), finite.
        labels: int64 (n,).
    """
    factor = inverse_temperature(logits, labels)
    z = double(logits)
    return float(functional.cross_entropy(factor * z, labels.to(z.device)))
