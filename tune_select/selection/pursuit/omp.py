"""Non-negative orthogonal matching pursuit (Killamsetty et al. 2021, Algorithm 2).

Minimises ``||sum_i w_i a_i - b||^2 + lambda ||w||^2`` over at most k atoms with ``w >= 0``. Two
things make it fast. The solver keeps the inverse Gram matrix of its support and updates it by
bordering (an atom enters) and deletion (an atom leaves), so nothing is ever solved again from the
start. And a step does not solve for the weights but corrects them by a Newton step from the current
residual: rounding errors are repaired by the next step instead of piling up, and the search for the
next atom may run in the atoms' own single precision, because its error is relative to the residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tune_select.selection.pursuit.dictionaries import TINY, Dictionary

DEPENDENT = 1e-10  # squared distance to the span of the support, relative to the squared norm
ROUNDING = 1e-7  # a smaller cosine between an atom and the residual is no direction of descent
_PATIENCE = 64  # candidates in a row that are nothing but rounding: then all the others are, too


@dataclass(frozen=True)
class OmpSolution:
    """A sparse non-negative combination of atoms.

    Attributes:
        support: int64 (m,) distinct positions of the chosen atoms, m <= budget, in no set order.
        weights: float64 (m,), positive.
        objective: ``||sum_i w_i a_i - b||^2 + lambda ||w||^2``.
        residual: ``||sum_i w_i a_i - b|| / ||b||``; 0 when b is zero. Where a dictionary gives its
            atoms a mass, that coordinate is part of them here.
        on_the_way: The solutions at the smaller budgets that were asked for, in their order.
    """

    support: Tensor
    weights: Tensor
    objective: float
    residual: float
    on_the_way: tuple[OmpSolution, ...] = ()


def nonnegative_omp(
    atoms: Tensor | Dictionary,
    target: Tensor | None = None,
    *,
    budget: int,
    on_the_way: Sequence[int] = (),
    regularization: float = 0.0,
    tolerance: float = 1e-10,
) -> OmpSolution:
    """Choose at most ``budget`` atoms whose non-negative combination is closest to ``target``.

    Each step takes the atom with the largest positive correlation with the residual (Algorithm 2
    takes the largest absolute value, but a negative one could only enter with a negative weight)
    and re-optimises all weights. Atoms whose weight would turn non-positive leave (Lawson and
    Hanson 1974, chapter 23), so the objective falls in every step.

    Args:
        atoms: (n, d), or a prepared ``Dictionary`` that already holds its target.
        target: b, (d,); the sum of the atoms when ``None``.
        budget: k, at least 1.
        on_the_way: Smaller budgets. Atoms are taken one by one and all weights are optimal at every
            step, so where the support last has so many atoms is the solution for that budget.
        regularization: lambda, in the units of a squared atom norm.
        tolerance: epsilon; stop when the objective falls to ``tolerance * ||b||^2``. The paper's
            epsilon is absolute; relative to the target it means the same early and late in a
            training.

    Returns:
        The solution. It has fewer atoms than ``budget`` when the tolerance was reached, or when no
        atom outside the support correlates positively with the residual: then no larger support
        is better.

    Raises:
        ValueError: A shape or a parameter is outside its range, or a value is not finite.
    """
    if budget < 1:
        raise ValueError(f"budget must be at least 1, got {budget}")
    check_omp_settings(regularization, tolerance)
    if isinstance(atoms, Tensor):
        atoms = Dictionary(atoms, None, target, capacity=budget)
    budget = min(budget, atoms.size)
    support = _ActiveSet(atoms, budget, regularization)
    passed: dict[int, OmpSolution] = {}
    for _ in range(most_steps(budget)):
        error = atoms.refit(support.weights)
        objective = error + regularization * float(support.weights.square().sum())
        if len(support) in on_the_way:
            passed[len(support)] = support.solution(
                objective, error / max(atoms.target_energy, TINY)
            )
        if len(support) == budget or objective <= tolerance * atoms.target_energy:
            break
        if not support.improve(error):
            break
    last = support.solution(objective, error / max(atoms.target_energy, TINY))
    # A pursuit that ended before a budget was spent has nothing better for it than its end.
    return replace(last, on_the_way=tuple(passed.get(k, last) for k in on_the_way))


def most_steps(budget: int) -> int:
    """After how many steps a pursuit ends, whatever it has found.

    Atoms that enter and leave again cost a step each; the bound only guards against cycling on
    rounding errors, far beyond what a problem in general position takes.
    """
    return 8 * budget + 16


def check_omp_settings(regularization: float, tolerance: float) -> None:
    """Raise ``ValueError`` unless both lambda and epsilon are finite and at least 0."""
    for name, value in (("regularization", regularization), ("tolerance", tolerance)):
        if not 0.0 <= value < float("inf"):
            raise ValueError(f"{name} must be a finite number >= 0, got {value}")


class _ActiveSet:
    """The support, its weights and the inverse of its regularised Gram matrix, float64."""

    def __init__(self, dictionary: Dictionary, budget: int, regularization: float) -> None:
        self._dictionary = dictionary
        self._regularization = regularization
        self._atoms = torch.empty(budget, dtype=torch.int64)
        self._weights = torch.zeros(budget, dtype=torch.float64)
        self._inverse = torch.empty(budget, budget, dtype=torch.float64)
        self._unavailable = torch.zeros(dictionary.size, dtype=torch.bool)
        self._rejected: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def atoms(self) -> Tensor:
        return self._atoms[: self._count].clone()

    @property
    def weights(self) -> Tensor:
        return self._weights[: self._count]

    def solution(self, objective: float, squared: float) -> OmpSolution:
        return OmpSolution(self.atoms, self.weights.clone(), objective, squared**0.5)

    def improve(self, error: float) -> bool:
        """Take in the most promising atom; False when there is none left."""
        gradient = self._dictionary.support_correlations() - self._regularization * self.weights
        for _ in range(_PATIENCE):
            atom, promise = self._dictionary.most_correlated(self._unavailable)
            if not promise > 0.0:
                return False
            column = self._dictionary.push(atom)
            if promise > ROUNDING * float(column[-1] * error) ** 0.5 and self._border(column):
                break
            # No descent, or within the span of the support, where the residual has nothing left.
            self._dictionary.drop(self._count)
            self._reject(atom)
        else:
            return False
        self._atoms[self._count] = atom
        self._weights[self._count] = 0.0
        self._unavailable[atom] = True
        self._count += 1
        self._descend(torch.cat([gradient, gradient.new_tensor([promise])]))
        if not self._unavailable[atom]:
            self._reject(atom)  # Rounding alone can push the newcomer out again.
        elif self._rejected:
            self._unavailable[self._rejected] = False
            self._rejected.clear()
        return True

    def _reject(self, atom: int) -> None:
        self._unavailable[atom] = True
        self._rejected.append(atom)

    def _border(self, column: Tensor) -> bool:
        """Extend the inverse by one atom (block inversion); False when it is dependent."""
        # With A the Gram matrix of the support, c the newcomer's column and d its squared norm,
        # both regularised, u = A^-1 c and s = d - c . u (the Schur complement),
        #   [A   c]^-1   [A^-1 + u u^T / s   -u / s]
        #   [c^T d]    = [-u^T / s            1 / s],
        # in O(m^2). s is the squared distance of the newcomer from the span of the support: near
        # zero the support explains it already, and dividing by s would blow up rounding errors.
        m = self._count
        inverse = self._inverse[:m, :m]
        solved = inverse @ column[:m]
        norm = float(column[m]) + self._regularization
        schur = norm - float(column[:m] @ solved)
        if schur <= DEPENDENT * norm:
            return False
        inverse.addr_(solved, solved, alpha=1.0 / schur)
        self._inverse[m, :m] = self._inverse[:m, m] = solved / -schur
        self._inverse[m, m] = 1.0 / schur
        return True

    def _descend(self, gradient: Tensor) -> None:
        """Move to the optimum on the support; drop the atoms that this makes non-positive.

        ``gradient`` is that of minus half the objective. On a quadratic, a step of length alpha
        along Newton's direction scales it by 1 - alpha, so that one search for an atom serves for
        any number of removals.
        """
        while self._count:
            weights = self._weights[: self._count]
            step = self._inverse[: self._count, : self._count] @ gradient
            moved = weights + step
            if float(moved.min()) > 0.0:
                weights.copy_(moved)
                return
            # The share of the step at which each weight that would become negative is zero. The
            # nearest of them is as far as one may go; that atom leaves, and the descent goes on
            # without it from there (Lawson and Hanson's inner loop).
            # A weight that is zero and stays so has no room either: 0 / 0 counts as 0.
            reach = torch.where(moved <= 0.0, weights / (weights - moved), torch.inf)
            reach = reach.nan_to_num_(nan=0.0, posinf=torch.inf)
            length, where = reach.min(0)
            weights.add_(step, alpha=float(length)).clamp_(min=0.0)
            position = int(where)
            # At weight zero the atom takes nothing of the residual with it, so that the gradient of
            # the others stays; its entry is overwritten as ``_leave`` moves the last atom.
            gradient[position] = gradient[-1].clone()
            gradient = gradient[:-1] * (1.0 - float(length))
            self._leave(position)

    def _leave(self, position: int) -> None:
        """Remove one atom from the support; the last one moves into its place."""
        # Bordering read backwards. With B the inverse, b its column at the atom and beta = b's own
        # entry there, the inverse without the atom is B - b b^T / beta, less that row and column.
        last = self._count - 1
        inverse = self._inverse[: self._count, : self._count]
        column = inverse[:, position].clone()
        inverse.addr_(column, column, alpha=-1.0 / float(column[position]))
        self._unavailable[self._atoms[position]] = False
        if position != last:
            inverse[position] = inverse[last].clone()
            inverse[:, position] = inverse[:, last].clone()
            self._atoms[position] = self._atoms[last].clone()
            self._weights[position] = self._weights[last].clone()
        self._dictionary.drop(position)
        self._count = last
