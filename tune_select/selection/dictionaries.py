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
    """

    size: int
    target_energy: float

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
