"""Sets of atoms as matching pursuit sees them: correlations with the residual, Gram columns.

A dictionary holds its target and the rows of the atoms in the support, in the solver's order. Only
the pass over all atoms (``correlations``) runs in the atoms' own precision, on a residual of unit
norm; everything the solution depends on is accumulated in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Dictionary(ABC):
    """n atoms, a target and a growing support.

    Attributes:
        size: Number n of atoms.
        target_energy: Squared norm of the target.
        mean_energy: Mean squared norm of the atoms.
    """

    size: int
    target_energy: float
    mean_energy: float

    @abstractmethod
    def correlations(self, weights: Tensor) -> tuple[Tensor, float]:
        """Correlate all atoms with the residual of the support's weighted sum.

        Args:
            weights: float64 (m,), one for each atom of the support, in the order of entry.

        Returns:
            ``<a_j, residual>`` of all atoms (n,), and the squared norm of the residual.
        """

    @abstractmethod
    def push(self, atom: int) -> Tensor:
        """Add an atom to the support and return its inner products with it, float64 (m + 1,).

        The last entry is the atom's own squared norm.
        """

    @abstractmethod
    def drop(self, position: int) -> None:
        """Remove an atom from the support; the last one takes over its position."""


class DenseDictionary(Dictionary):
    """Atoms as the rows of a matrix.

    Args:
        atoms: (n, d) of any floating type; not copied, not written to.
        target: (d,); the sum of the atoms when ``None``.
        capacity: Largest support to expect; rows for it are reserved.

    Raises:
        ValueError: The shapes do not fit, or a value is not finite.
    """

    def __init__(self, atoms: Tensor, target: Tensor | None = None, *, capacity: int | None = None):
        if atoms.ndim != 2 or not atoms.is_floating_point():
            raise ValueError(
                f"atoms must be a floating-point matrix (n, d), got {atoms.dtype} of shape "
                f"{tuple(atoms.shape)}"
            )
        if target is not None and target.shape != atoms.shape[1:]:
            raise ValueError(
                f"target must have shape {tuple(atoms.shape[1:])} like an atom, got "
                f"{tuple(target.shape)}"
            )
        self.size = atoms.shape[0]
        self._atoms = atoms
        self._target = atoms.sum(0, dtype=torch.float64) if target is None else target.double()
        self.target_energy = float(self._target.square().sum())
        # Any value that is not finite makes the sum so: one pass and no copy.
        checks = (atoms.sum(dtype=torch.float64), self._target.sum())
        if not all(bool(torch.isfinite(total)) for total in checks):
            raise ValueError("atoms and target must be finite, got NaN or infinite values")
        self.mean_energy = float(torch.linalg.vector_norm(atoms)) ** 2 / max(self.size, 1)
        rows = self.size if capacity is None else min(capacity, self.size)
        self._support = torch.empty(rows, atoms.shape[1], dtype=torch.float64, device=atoms.device)
        self._count = 0

    def correlations(self, weights: Tensor) -> tuple[Tensor, float]:
        """See the base class; costs 2 n d operations."""
        residual = self._target - weights @ self._support[: self._count]
        error = float(residual.square().sum())
        scale = error**0.5 or 1.0
        return self._atoms @ (residual / scale).to(self._atoms.dtype) * scale, error

    def push(self, atom: int) -> Tensor:
        """See the base class; costs 2 m d operations."""
        self._support[self._count] = self._atoms[atom]
        self._count += 1
        rows = self._support[: self._count]
        return rows @ rows[-1]

    def drop(self, position: int) -> None:
        """See the base class."""
        self._count -= 1
        if position != self._count:
            self._support[position] = self._support[self._count]


class FactorizedDictionary(Dictionary):
    """Whole last-layer gradients ``p_i h_i^T`` as atoms, none of them ever materialised.

    An inner product with a residual matrix R (C, D) is ``p_j . (R h_j)``, and one between atoms is
    ``(h_i . h_j)(p_i . p_j)`` (Balles et al., eq. 4). Memory is that of the factors.

    Args:
        inputs: h, (n, D), with a column of ones for a layer with a bias.
        outputs: p, (n, C).
        target: float64 (C, D).
        capacity: Largest support to expect.
    """

    def __init__(self, inputs: Tensor, outputs: Tensor, target: Tensor, *, capacity: int) -> None:
        self.size = inputs.shape[0]
        self._inputs, self._outputs, self._target = inputs, outputs, target
        self.target_energy = float(target.square().sum())
        energies = inputs.square().sum(1) * outputs.square().sum(1)
        self.mean_energy = float(energies.mean(dtype=torch.float64))
        rows = min(capacity, self.size)
        self._support_inputs = torch.empty(rows, inputs.shape[1], dtype=torch.float64)
        self._support_outputs = torch.empty(rows, outputs.shape[1], dtype=torch.float64)
        self._count = 0

    def correlations(self, weights: Tensor) -> tuple[Tensor, float]:
        """See the base class; costs 2 n C D operations, in one matrix product."""
        inputs = self._support_inputs[: self._count]
        outputs = self._support_outputs[: self._count]
        residual = self._target - (outputs * weights[:, None]).T @ inputs
        error = float(residual.square().sum())
        scale = error**0.5 or 1.0
        projected = self._inputs @ (residual / scale).to(self._inputs.dtype).T
        return (projected * self._outputs).sum(1) * scale, error

    def push(self, atom: int) -> Tensor:
        """See the base class; costs 2 m (C + D) operations."""
        self._support_inputs[self._count] = self._inputs[atom]
        self._support_outputs[self._count] = self._outputs[atom]
        self._count += 1
        inputs = self._support_inputs[: self._count]
        outputs = self._support_outputs[: self._count]
        return (inputs @ inputs[-1]) * (outputs @ outputs[-1])

    def drop(self, position: int) -> None:
        """See the base class."""
        self._count -= 1
        if position != self._count:
            self._support_inputs[position] = self._support_inputs[self._count]
            self._support_outputs[position] = self._support_outputs[self._count]
