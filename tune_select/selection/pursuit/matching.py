"""Solving many independent matching problems: threads on a CPU, one batch on other devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tune_select.selection.pursuit.batched_omp import ProblemBatch, batched_nonnegative_omp
from tune_select.selection.pursuit.dictionaries import Dictionary
from tune_select.selection.pursuit.omp import OmpSolution, nonnegative_omp
from tune_select.selection.threads import map_in_threads

_BATCH_VALUES = 1 << 28  # numbers in the padded atoms and supports of one batch on a device: 1-2 GB


@dataclass(frozen=True)
class MatchingProblem:
    """Atoms as in ``Dictionary``, their target and how many may be chosen.

    ``on_the_way`` are smaller budgets whose solutions are asked for too.
    """

    inputs: Tensor
    outputs: Tensor
    target: Tensor
    budget: int
    on_the_way: tuple[int, ...] = ()


@dataclass(frozen=True)
class Matcher:
    """Settings that all problems share.

    Attributes:
        regularization: lambda, relative to each problem's mean squared atom norm.
        tolerance: epsilon, relative to the squared norm of each problem's target.
        mass: The mass as in ``Dictionary``.
        units: ``"absolute"``: lambda and epsilon are plain numbers, relative to nothing.
    """

    regularization: float
    tolerance: float
    mass: float
    units: Literal["relative", "absolute"] = "relative"

    def solve(
        self, builders: Sequence[Callable[[], MatchingProblem]], device: torch.device
    ) -> list[OmpSolution]:
        """Build and solve every problem; no more of them are held at a time than are being solved.

        Returns:
            Solutions in the order of the problems, on the CPU.
        """
        if device.type == "cpu":
            return map_in_threads(lambda build: self.solve_one(build()), builders)
        solutions: list[OmpSolution] = []
        waiting: list[MatchingProblem] = []
        for build in builders:
            problem = build()
            if waiting and _padded_values([*waiting, problem]) > _BATCH_VALUES:
                solutions += self.solve_together(waiting)
                waiting = []
            waiting.append(problem)
        return solutions + self.solve_together(waiting)

    def solve_one(self, problem: MatchingProblem) -> OmpSolution:
        """Solve one problem with the serial solver."""
        dictionary = Dictionary(
            problem.inputs,
            problem.outputs,
            problem.target,
            capacity=problem.budget,
            mass=self.mass,
        )
        ridge, enough = self.regularization, self.tolerance
        if self.units == "relative":
            ridge *= dictionary.mean_energy
        else:  # the solver's epsilon is relative to the target
            enough = enough / dictionary.target_energy if dictionary.target_energy else 0.0
        return nonnegative_omp(
            dictionary,
            budget=problem.budget,
            on_the_way=problem.on_the_way,
            regularization=ridge,
            tolerance=enough,
        )

    def solve_together(self, problems: Sequence[MatchingProblem]) -> list[OmpSolution]:
        """Solve all problems in lockstep, on the device that holds them."""
        batch = ProblemBatch(
            pad_sequence([problem.inputs for problem in problems], batch_first=True),
            pad_sequence([problem.outputs for problem in problems], batch_first=True),
            torch.stack([problem.target for problem in problems]),
            torch.tensor([problem.inputs.shape[0] for problem in problems]),
            torch.tensor([problem.budget for problem in problems]),
            torch.tensor([problem.on_the_way for problem in problems], dtype=torch.int64),
        )
        return batched_nonnegative_omp(
            batch,
            regularization=self.regularization,
            tolerance=self.tolerance,
            mass=self.mass,
            units=self.units,
        )


def _padded_values(problems: Sequence[MatchingProblem]) -> int:
    rows = max(problem.inputs.shape[0] for problem in problems)
    budget = max(problem.budget for problem in problems)
    columns = problems[0].inputs.shape[1] + problems[0].outputs.shape[1]
    return len(problems) * (rows * columns + 2 * budget * (columns + budget))
