"""Sets of atoms as matching pursuit sees them: correlations with the residual, Gram columns."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from tune_select.selection.pursuit.screening import Screen

TINY = sys.float_info.min  # divides a residual of zero, which stays zero


class Dictionary:
    """n atoms ``p_i h_i^T``, a target and the support that a solver has built so far.

    Last-layer gradients are such outer products and are never materialised: the inner product with
    a residual matrix R (C, D) is ``p_j . (R h_j)``, and that of two atoms is
    ``(h_i . h_j)(p_i . p_j)`` (Balles et al., eq. 4). Plain vectors are the case C = 1.

    Only the search for the next atom runs in their own precision, on a residual of unit norm: its
    error is relative to the residual. Everything that lasts is accumulated in float64.

    Args:
        inputs: h, (n, D); with a column of ones for a layer with a bias.
        outputs: p, (n, C); ones (n, 1) when ``None``, so that ``inputs`` are the atoms.
        target: (C, D) or, for C = 1, (D,); the sum of the atoms when ``None``.
        capacity: Largest support to expect.
        mass: Gives every atom one more coordinate, the same for all, with this mean squared size
            relative to that of the atoms, and the target n times it: the weights are drawn towards
            the sum n. 0 leaves it out.

    Attributes:
        size: Number n of atoms.
        mean_energy: Mean squared norm of the atoms, without the coordinate of ``mass``.
        target_energy: Squared norm of the target, with it.

    Raises:
        ValueError: A shape does not fit, or a value is not finite.
    """

    def __init__(
        self,
        inputs: Tensor,
        outputs: Tensor | None = None,
        target: Tensor | None = None,
        *,
        capacity: int | None = None,
        mass: float = 0.0,
    ) -> None:
        if inputs.ndim != 2 or not inputs.is_floating_point():
            raise ValueError(
                f"atoms must be a floating-point matrix (n, d), got {inputs.dtype} of shape "
                f"{tuple(inputs.shape)}"
            )
        self.size = inputs.shape[0]
        self._inputs = inputs
        self._outputs = inputs.new_ones(self.size, 1) if outputs is None else outputs
        self._target = self._sum() if target is None else target.double()
        if self._target.ndim == 1:
            self._target = self._target[None]
        shape = (self._outputs.shape[1], inputs.shape[1])
        if self._target.shape != shape:
            raise ValueError(f"target must have shape {shape}, got {tuple(self._target.shape)}")
        norms = torch.linalg.vector_norm(inputs, dim=1) * torch.linalg.vector_norm(
            self._outputs, dim=1
        )
        self.mean_energy = float(norms.double().square().mean())
        self._mass = mass * self.mean_energy
        self.target_energy = float(self._target.square().sum()) + self._mass * self.size**2
        # An infinite or undefined value anywhere makes these sums so: no extra pass, no copy.
        if not (self.mean_energy < float("inf") and self.target_energy < float("inf")):
            raise ValueError("atoms and target must be finite, got NaN or infinite values")
        rows = self.size if capacity is None else min(capacity, self.size)
        self._support_inputs = inputs.new_empty(rows, shape[1], dtype=torch.float64)
        self._support_outputs = inputs.new_empty(rows, shape[0], dtype=torch.float64)
        self._count = 0
        self._residual, self._norm, self._offset = self._target, 0.0, 0.0
        alone = shape[0] == 1 and Screen.pays(inputs)
        self._screen = Screen(inputs) if alone else None
        self.refit(self._support_outputs.new_empty(0))

    def refit(self, weights: Tensor) -> float:
        """Compute the residual of the support's weighted sum.

        Args:
            weights: float64 (m,), one for each atom of the support.

        Returns:
            The squared norm of the residual.
        """
        # sum_i w_i p_i h_i^T in one product, (C, m) (m, D): the atoms themselves are never made.
        outputs = self._support_outputs[: self._count] * weights[:, None]
        self._residual = self._target - outputs.T @ self._support_inputs[: self._count]
        error = float(self._residual.square().sum())
        self._norm = error**0.5
        # The coordinate of ``mass``: every atom has sqrt(mass) there and the target n times it, so
        # the residual there is sqrt(mass) (n - sum w), and each atom's product with it is
        # mass (n - sum w): the same for all, added behind the matrix product.
        missing = self.size - float(weights.sum()) if self._mass else 0.0
        self._offset = self._mass * missing
        return error + self._mass * missing**2

    def most_correlated(self, excluded: Tensor) -> tuple[int, float]:
        """The atom of the largest inner product with the residual, and that product.

        Costs 2 n C D operations in one matrix product.

        Args:
            excluded: bool (n,) atoms that do not count.
        """
        if self._screen is None:
            found = self.correlations().masked_fill_(excluded, -torch.inf)
            best, where = found.max(0)
            return int(where), float(best)
        unit = (self._residual[0] / max(self._norm, TINY)).to(self._inputs.dtype)
        scales = self._outputs[:, 0]
        rows = self._screen.candidates(unit, scales, excluded)
        if rows is None:
            found = (self._inputs @ unit).mul_(scales).masked_fill_(excluded, -torch.inf)
            best, where = found.max(0)
        else:
            best, place = ((self._inputs[rows] @ unit) * scales[rows]).max(0)
            where = rows[place]
        return int(where), float(best) * self._norm + self._offset

    def correlations(self) -> Tensor:
        """Inner products ``<a_j, residual>`` of all atoms, (n,), in their own precision."""
        unit = (self._residual / max(self._norm, TINY)).to(self._inputs.dtype)
        if unit.shape[0] == 1:  # A matrix-vector product proper is faster.
            found = (self._inputs @ unit[0]) * self._outputs[:, 0]
        else:
            found = ((self._inputs @ unit.T) * self._outputs).sum(1)
        return found.mul_(self._norm).add_(self._offset)

    def support_correlations(self) -> Tensor:
        """Inner products of the support's atoms with the residual, float64 (m,)."""
        inputs = self._support_inputs[: self._count]
        outputs = self._support_outputs[: self._count]
        return ((inputs @ self._residual.T) * outputs).sum(1) + self._offset

    def push(self, atom: int) -> Tensor:
        """Add an atom to the support and return its inner products with it, float64 (m + 1,).

        The last entry is the atom's own squared norm. Costs 2 m (C + D) operations.
        """
        self._support_inputs[self._count] = self._inputs[atom]
        self._support_outputs[self._count] = self._outputs[atom]
        self._count += 1
        inputs = self._support_inputs[: self._count]
        outputs = self._support_outputs[: self._count]
        return (inputs @ inputs[-1]).mul_(outputs @ outputs[-1]).add_(self._mass)

    def drop(self, position: int) -> None:
        """Remove an atom from the support; the last one takes over its position."""
        self._count -= 1
        if position != self._count:
            self._support_inputs[position] = self._support_inputs[self._count]
            self._support_outputs[position] = self._support_outputs[self._count]

    def _sum(self) -> Tensor:
        return self._outputs.double().T @ self._inputs.double()
