"""Many matching-pursuit problems in lockstep, for devices that want few large operations.

The same algorithm as ``omp.nonnegative_omp`` for a batch of problems, without a loop over them and
without waiting for the device in a step. A step either takes one atom in or, where the last move
hit a boundary, goes on from there; problems that have finished stand still until all have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from tune_select.selection.pursuit.omp import (
    DEPENDENT,
    ROUNDING,
    OmpSolution,
    check_omp_settings,
    most_steps,
)

_STEPS_BETWEEN_CHECKS = 16  # asking the device whether all problems have finished stalls it


@dataclass(frozen=True)
class ProblemBatch:
    """G problems, padded to a common size with atoms that are zero.

    Attributes:
        inputs: (G, n, D), as in ``Dictionary``.
        outputs: (G, n, C).
        targets: (G, C, D).
        sizes: int64 (G,) number of atoms of each problem; those behind are padding.
        budgets: int64 (G,).
        on_the_way: int64 (G, B) smaller budgets whose solutions are asked for too.
    """

    inputs: Tensor
    outputs: Tensor
    targets: Tensor
    sizes: Tensor
    budgets: Tensor
    on_the_way: Tensor | None = None


def batched_nonnegative_omp(
    problems: ProblemBatch,
    *,
    regularization: float,
    tolerance: float = 1e-10,
    mass: float = 0.0,
    units: Literal["relative", "absolute"] = "relative",
) -> list[OmpSolution]:
    """Solve all problems on the device that holds them.

    Args:
        problems: The batch.
        regularization: lambda, relative to each problem's mean squared atom norm.
        tolerance: epsilon, relative to the squared norm of each problem's target.
        mass: The mass as in ``Dictionary``.
        units: ``"absolute"``: lambda and epsilon are plain numbers, relative to nothing.

    Returns:
        One solution per problem, on the CPU.

    Raises:
        ValueError: A parameter is outside its range.
    """
    check_omp_settings(regularization, tolerance)
    state = _Lockstep(problems, mass)
    if units == "relative":
        state.ridge, state.enough = regularization * state.energy, tolerance * state.goal
    else:
        state.ridge = torch.full_like(state.energy, regularization)
        state.enough = torch.full_like(state.goal, tolerance)
    for step in range(most_steps(int(problems.budgets.max()))):
        state.step()
        if step % _STEPS_BETWEEN_CHECKS == 0 and state.all_finished():
            break
    return state.solutions()


class _Lockstep:
    """Supports of all problems, in slots that may be free; a free slot holds zeros everywhere."""

    ridge: Tensor
    """(G,), lambda of each problem."""

    enough: Tensor
    """(G,), the objective at which a problem is solved."""

    def __init__(self, problems: ProblemBatch, mass: float) -> None:
        self.problems = problems
        groups, n, d = problems.inputs.shape
        c, k = problems.outputs.shape[2], int(problems.budgets.max())
        device = problems.inputs.device

        def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        sizes = problems.sizes.to(device).double()
        norms = torch.linalg.vector_norm(problems.inputs, dim=2)
        norms = norms * torch.linalg.vector_norm(problems.outputs, dim=2)
        self.energy = energy = norms.double().square().sum(1) / sizes
        self.rows = torch.arange(groups, device=device)
        self.budgets = problems.budgets.to(device)
        self.sizes = sizes
        self.mass = mass * energy
        # With the coordinate of the mass, where the target is n times sqrt(mass): see Dictionary.
        goal = problems.targets.double().square().sum((1, 2)) + self.mass * sizes.square()
        self.goal = goal
        self.support_inputs = zeros(groups, k, d)
        self.support_outputs = zeros(groups, k, c)
        self.atoms = zeros(groups, k, dtype=torch.int64)
        self.weights = zeros(groups, k)
        self.inverse = zeros(groups, k, k)
        self.occupied = zeros(groups, k, dtype=torch.bool)
        positions = torch.arange(n, device=device)
        self.unavailable = positions[None] >= problems.sizes.to(device)[:, None]
        self.rejected = zeros(groups, n, dtype=torch.bool)
        self.finished = zeros(groups, dtype=torch.bool)
        self.moving = zeros(groups, dtype=torch.bool)
        self.newest = torch.full((groups,), -1, device=device)  # the atom whose move is under way
        if problems.on_the_way is not None:
            self.passing = problems.on_the_way.to(device).T.contiguous()
        else:
            self.passing = zeros(0, groups, dtype=torch.int64)
        steps = self.passing.shape[0]
        self.passed = zeros(steps, groups, dtype=torch.bool)
        self.passed_atoms = zeros(steps, groups, k, dtype=torch.int64)
        self.passed_weights = zeros(steps, groups, k)  # zero where a slot was free
        self.passed_error = zeros(steps, groups)

    def all_finished(self) -> bool:
        return bool(self.finished.all())

    def step(self) -> None:
        """One move of every unfinished problem, along Newton's direction up to the boundary."""
        correlations, error = self._correlations()
        objective = error + self.ridge * self.weights.square().sum(1)
        self._pass(error)
        done = (self.occupied.sum(1) >= self.budgets) | (objective <= self.enough)
        self.finished |= done & ~self.moving
        gradient = correlations.gather(1, self.atoms).double()
        gradient = (gradient - self.ridge[:, None] * self.weights) * self.occupied
        self._enter(correlations, error, gradient)
        # Of the rows and columns of free slots the inverse holds zeros, so they never move. What
        # ``omp._ActiveSet._descend`` does in a loop is one cut move in each step here: a loop would
        # keep all problems waiting for the one that loses most atoms.
        direction = torch.einsum("gij,gj->gi", self.inverse, gradient)
        moved = self.weights + direction
        outside = self.occupied & (moved <= 0.0)
        # A weight that is zero and stays so has no room either: 0 / 0 counts as 0.
        reach = (self.weights / (self.weights - moved)).nan_to_num_(nan=0.0)
        length, position = torch.where(outside, reach, torch.inf).min(1)
        hit = torch.isfinite(length) & ~self.finished
        length = torch.where(hit, length, 1.0)
        walked = (self.weights + length[:, None] * direction).clamp_min_(0.0)
        self.weights = torch.where(self.finished[:, None], self.weights, walked)
        self._leave(position, hit)
        self.moving = hit

    def solutions(self) -> list[OmpSolution]:
        error = self._correlations()[1]
        last = self._solutions_at(self.atoms, self.weights, self.occupied, error)
        earlier = [
            self._solutions_at(atoms, weights, weights > 0.0, error)
            for atoms, weights, error in zip(
                self.passed_atoms, self.passed_weights, self.passed_error, strict=True
            )
        ]
        passed = self.passed.cpu()
        return [
            replace(
                end,
                on_the_way=tuple(
                    found[i] if bool(passed[j, i]) else end for j, found in enumerate(earlier)
                ),
            )
            for i, end in enumerate(last)
        ]

    def _solutions_at(
        self, atoms: Tensor, weights: Tensor, occupied: Tensor, error: Tensor
    ) -> list[OmpSolution]:
        occupied, atoms, weights = occupied.cpu(), atoms.cpu(), weights.cpu()
        error, ridge, goal = error.cpu(), self.ridge.cpu(), self.goal.cpu()
        found = []
        for i, slots in enumerate(occupied):
            weight = weights[i, slots]
            objective = float(error[i] + ridge[i] * weight.square().sum())
            residual = float(error[i] / goal[i]) ** 0.5 if float(goal[i]) > 0.0 else 0.0
            found.append(OmpSolution(atoms[i, slots], weight, objective, residual))
        return found

    def _pass(self, error: Tensor) -> None:
        """Note where a support stands at a smaller budget, settled; the last time counts."""
        count = self.occupied.sum(1)
        for j, budgets in enumerate(self.passing):
            here = (count == budgets) & ~self.moving & ~self.finished
            self.passed[j] |= here
            self.passed_atoms[j] = torch.where(here[:, None], self.atoms, self.passed_atoms[j])
            self.passed_weights[j] = torch.where(
                here[:, None], self.weights, self.passed_weights[j]
            )
            self.passed_error[j] = torch.where(here, error, self.passed_error[j])

    def _correlations(self) -> tuple[Tensor, Tensor]:
        problems = self.problems
        outputs = self.support_outputs * self.weights[:, :, None]
        residual = problems.targets - outputs.transpose(1, 2) @ self.support_inputs
        error = residual.square().sum((1, 2))
        scale = error.sqrt().clamp_min_(torch.finfo(error.dtype).tiny)
        unit = (residual / scale[:, None, None]).to(problems.inputs.dtype)
        found = ((problems.inputs @ unit.transpose(1, 2)) * problems.outputs).sum(2).double()
        missing = self.sizes - self.weights.sum(1)
        found = found * scale[:, None] + (self.mass * missing)[:, None]
        return found, error + self.mass * missing.square()

    def _enter(self, correlations: Tensor, error: Tensor, gradient: Tensor) -> None:
        """Take the most promising atom into a free slot wherever no move is under way."""
        rows = self.rows
        promise, atom = correlations.masked_fill(self.unavailable, 0.0).max(1)
        looking = ~self.finished & ~self.moving
        slot = self.occupied.int().argmin(1)
        inputs = self.problems.inputs[rows, atom].double()
        outputs = self.problems.outputs[rows, atom].double()
        column = torch.einsum("gkd,gd->gk", self.support_inputs, inputs)
        column *= torch.einsum("gkc,gc->gk", self.support_outputs, outputs)
        column = (column + self.mass[:, None]) * self.occupied
        energy = inputs.square().sum(1) * outputs.square().sum(1) + self.mass
        solved = torch.einsum("gij,gj->gi", self.inverse, column)
        schur = energy + self.ridge - (column * solved).sum(1)
        hopeless = promise <= 0.0
        weak = promise <= ROUNDING * (energy * error).sqrt()
        weak |= schur <= DEPENDENT * (energy + self.ridge)
        self.finished |= looking & hopeless
        enters = looking & ~hopeless & ~weak
        self._reject(atom, looking & ~hopeless & weak)
        # Block inversion, as ``omp._ActiveSet._border`` has it: all four blocks at once are
        # (u, -1) (u, -1)^T / schur, with u the solution for the new column. The free slot's row and
        # column of the inverse are zero before, and u is zero there, for its column is masked.
        solved[rows, slot] = -1.0
        factor = torch.where(enters, 1.0 / schur, 0.0)
        self.inverse += (solved * factor[:, None])[:, :, None] * solved[:, None, :]
        _put(self.support_inputs, (rows, slot), inputs, enters)
        _put(self.support_outputs, (rows, slot), outputs, enters)
        _put(self.atoms, (rows, slot), atom, enters)
        _put(self.occupied, (rows, slot), enters, enters)
        _put(self.unavailable, (rows, atom), enters, enters)
        _put(gradient, (rows, slot), promise, enters)
        self.newest = torch.where(enters, atom, self.newest)

    def _leave(self, position: Tensor, hit: Tensor) -> None:
        """Remove the atom at a boundary from the support, by deletion from the inverse."""
        rows = self.rows
        # B - b b^T / beta, as in ``omp._ActiveSet._leave``. The slot stays, empty: its row and
        # column become exact zeros, which rounding would not leave there.
        atom = self.atoms[rows, position]
        column = self.inverse[rows, :, position]
        pivot = column[rows, position]
        factor = torch.where(hit, 1.0 / pivot, 0.0)
        self.inverse -= (column * factor[:, None])[:, :, None] * column[:, None, :]
        for slots in (self.support_inputs, self.support_outputs, self.weights, self.inverse):
            _put(slots, (rows, position), torch.zeros_like(slots[:, 0]), hit)
        _put(self.inverse.transpose(1, 2), (rows, position), torch.zeros_like(column), hit)
        _put(self.occupied, (rows, position), ~hit, hit)
        _put(self.unavailable, (rows, atom), ~hit, hit)
        self._reject(atom, hit & (atom == self.newest))
        # With a newcomer settled, what was rejected before may have become of use.
        settled = ~hit & (self.newest >= 0)
        self.unavailable &= ~(self.rejected & settled[:, None])
        self.rejected &= ~settled[:, None]
        self.newest = torch.where(settled | (hit & (atom == self.newest)), -1, self.newest)

    def _reject(self, atom: Tensor, where: Tensor) -> None:
        _put(self.unavailable, (self.rows, atom), where, where)
        _put(self.rejected, (self.rows, atom), where, where)


def _put(values: Tensor, index: tuple[Tensor, Tensor], new: Tensor, where: Tensor) -> None:
    """Write ``new`` at ``index`` in the rows ``where``; a Boolean index would stall the device."""
    old = values[index]
    mask = where.view(-1, *[1] * (old.ndim - 1))
    values[index] = torch.where(mask, new, old)
