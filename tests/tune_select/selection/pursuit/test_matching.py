"""However problems are solved, one by one or together in batches, the solutions are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
import torch

from tune_select.selection.pursuit import matching as module
from tune_select.selection.pursuit.matching import Matcher, MatchingProblem
from tune_select.selection.pursuit.omp import OmpSolution


def problems() -> list[MatchingProblem]:
    generator = torch.Generator().manual_seed(0)
    found = []
    for size in (9, 4, 12, 7, 10, 5):
        inputs = torch.randn(size, 6, generator=generator, dtype=torch.float64)
        outputs = torch.randn(size, 2, generator=generator, dtype=torch.float64) + 0.5
        target = outputs.T @ inputs
        budget = size // 2 + 1
        found.append(MatchingProblem(inputs, outputs, target, budget, (1, budget - 1)))
    return found


def assert_same(found: OmpSolution, expected: OmpSolution) -> None:
    assert sorted(found.support.tolist()) == sorted(expected.support.tolist())
    order, other = found.support.argsort(), expected.support.argsort()
    torch.testing.assert_close(found.weights[order], expected.weights[other], rtol=1e-6, atol=1e-9)
    assert found.objective == pytest.approx(expected.objective, rel=1e-6)
    assert found.residual == pytest.approx(expected.residual, rel=1e-6)
    for one, another in zip(found.on_the_way, expected.on_the_way, strict=True):
        assert_same(one, another)


@pytest.mark.parametrize("units", ["relative", "absolute"])
def test_batches_change_nothing_and_keep_to_their_size(
    units: Literal["relative", "absolute"], monkeypatch: pytest.MonkeyPatch
) -> None:
    solver, limit = Matcher(0.3, 0.05, 0.5, units), 700
    alone = [solver.solve_one(problem) for problem in problems()]
    assert len({round(solution.objective, 9) for solution in alone}) == 6
    sizes, solve_together = [], Matcher.solve_together

    def noted(self: Matcher, batch: Sequence[MatchingProblem]) -> list[OmpSolution]:
        sizes.append(len(batch))
        values = module._padded_values(batch)
        rows = max(len(one.inputs) for one in batch)
        budget = max(one.budget for one in batch)
        # Inputs and outputs of every atom; of the support those, weights and the inverse, twice.
        assert values == len(batch) * (rows * (6 + 2) + 2 * budget * (6 + 2 + budget))
        assert values <= limit
        return solve_together(self, batch)

    monkeypatch.setattr(Matcher, "solve_together", noted)
    monkeypatch.setattr(module, "_BATCH_VALUES", limit)
    builders = [lambda one=one: one for one in problems()]
    # The kind of the device says how to solve; what is solved lies on the CPU here.
    together = solver.solve(builders, torch.device("cuda"))  # type: ignore[arg-type]
    assert sum(sizes) == 6
    assert 1 < max(sizes) < 6
    for found, expected in zip(together, alone, strict=True):
        assert_same(found, expected)
    for found, expected in zip(solver.solve(builders, torch.device("cpu")), alone, strict=True):  # type: ignore[arg-type]
        assert_same(found, expected)
