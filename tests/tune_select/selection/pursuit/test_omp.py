from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from sklearn.linear_model import orthogonal_mp
from torch import Tensor

from tune_select.selection import nonnegative_omp
from tune_select.selection.pursuit.batched_omp import ProblemBatch, batched_nonnegative_omp
from tune_select.selection.pursuit.dictionaries import Dictionary

quick = settings(max_examples=60, deadline=None, derandomize=True)
ridges = st.sampled_from([0.0, 0.01, 0.5])


@st.composite
def problems(draw: st.DrawFn, largest: int = 25) -> tuple[Tensor, Tensor]:
    """Atoms (n, d) and a target (d,); some with a common direction, some in whole numbers."""
    n, d = draw(st.integers(1, largest)), draw(st.integers(1, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    atoms = torch.randn(n, d, generator=generator, dtype=torch.float64)
    atoms += draw(st.sampled_from([0.0, 1.0]))
    if draw(st.booleans()):  # ties, duplicates and zero atoms
        atoms = atoms.round()
    target = torch.randn(d, generator=generator, dtype=torch.float64)
    return atoms, draw(st.sampled_from([target, atoms.sum(0)]))


def objective(atoms: Tensor, target: Tensor, ridge: float, weights: Tensor) -> float:
    return float((weights @ atoms - target).square().sum() + ridge * weights.square().sum())


def dense(solution_support: Tensor, weights: Tensor, n: int) -> Tensor:
    full = torch.zeros(n, dtype=torch.float64)
    full[solution_support] = weights
    return full


def nnls_objective(atoms: Tensor, target: Tensor, ridge: float) -> float:
    """The non-negative ridge optimum over all given atoms, by SciPy on the augmented problem."""
    n = len(atoms)
    if n == 0:
        return float(target @ target)
    stacked = np.vstack([atoms.numpy().T, np.sqrt(ridge) * np.eye(n)])
    goal = np.concatenate([target.numpy(), np.zeros(n)])
    return 2.0 * float(lsq_linear(stacked, goal, bounds=(0, np.inf), method="bvls").cost)


@quick
@given(problem=problems(), ridge=ridges, budget=st.integers(1, 25))
def test_solution_is_the_optimum_of_its_support(
    problem: tuple[Tensor, Tensor], ridge: float, budget: int
) -> None:
    atoms, target = problem
    found = nonnegative_omp(atoms, target, budget=budget, regularization=ridge)
    assert len(found.support) == len(set(found.support.tolist())) <= min(budget, len(atoms))
    assert bool((found.weights > 0).all())
    reached = objective(atoms, target, ridge, dense(found.support, found.weights, len(atoms)))
    assert found.objective == pytest.approx(reached, abs=1e-9 * (1 + float(target @ target)))
    best = nnls_objective(atoms[found.support], target, ridge)
    assert reached == pytest.approx(best, rel=1e-6, abs=1e-9 * (1 + float(target @ target)))


@quick
@given(problem=problems(), ridge=ridges)
def test_full_budget_reaches_the_optimum_over_all_atoms(
    problem: tuple[Tensor, Tensor], ridge: float
) -> None:
    atoms, target = problem
    found = nonnegative_omp(atoms, target, budget=len(atoms), regularization=ridge, tolerance=0.0)
    best = nnls_objective(atoms, target, ridge)
    assert found.objective == pytest.approx(best, rel=1e-6, abs=1e-9 * (1 + float(target @ target)))


@settings(quick, max_examples=20)
@given(problem=problems(largest=8), ridge=ridges, tolerance=st.sampled_from([0.02, 0.2, 0.6]))
def test_it_stops_at_the_first_support_within_the_tolerance(
    problem: tuple[Tensor, Tensor], ridge: float, tolerance: float
) -> None:
    """Relative to the target's squared norm; so in lockstep, and there in plain numbers too."""
    atoms, target = problem
    enough = tolerance * float(target @ target)
    budget, dictionary = len(atoms), Dictionary(atoms, None, target)
    path = [
        nonnegative_omp(atoms, target, budget=k, regularization=ridge, tolerance=0.0).objective
        for k in range(1, budget + 1)
    ]
    if any(abs(each - enough) <= 1e-6 * (1 + enough) for each in path):
        return  # rounding decides
    found = nonnegative_omp(atoms, target, budget=budget, regularization=ridge, tolerance=tolerance)
    steps = next((k for k, each in enumerate(path, 1) if each <= enough), None)
    if steps is not None:
        assert found.objective <= enough
        assert found.objective == pytest.approx(path[steps - 1], rel=1e-6, abs=1e-9)
    one = ProblemBatch(
        atoms[None], torch.ones(1, budget, 1, dtype=torch.float64), target[None, None],
        torch.tensor([budget]), torch.tensor([budget]),
    )  # fmt: skip
    mean = dictionary.mean_energy or 1.0
    for units, scales in (("relative", (mean, 1.0)), ("absolute", (1.0, float(target @ target)))):
        (together,) = batched_nonnegative_omp(
            one, regularization=ridge / scales[0], tolerance=tolerance * scales[1],
            units=units,  # type: ignore[arg-type]
        )  # fmt: skip
        assert together.objective == pytest.approx(found.objective, rel=1e-5, abs=1e-8)
        assert together.residual == pytest.approx(found.residual, rel=1e-5, abs=1e-6)
        assert len(together.support) == len(found.support)


@quick
@given(problem=problems(largest=9), ridge=ridges, budget=st.integers(1, 4))
def test_never_better_than_the_best_subset_and_better_with_each_atom(
    problem: tuple[Tensor, Tensor], ridge: float, budget: int
) -> None:
    atoms, target = problem
    budget = min(budget, len(atoms))
    best = min(
        nnls_objective(atoms[list(subset)], target, ridge)
        for subset in combinations(range(len(atoms)), budget)
    )
    slack = 1e-9 * (1 + float(target @ target))
    found = [
        nonnegative_omp(atoms, target, budget=k, regularization=ridge).objective
        for k in range(1, budget + 1)
    ]
    assert found[-1] >= best - slack
    assert all(later <= earlier + slack for earlier, later in pairwise(found))


@quick
@given(problem=problems(), ridge=ridges)
def test_one_atom_is_the_one_of_the_largest_correlation(
    problem: tuple[Tensor, Tensor], ridge: float
) -> None:
    atoms, target = problem
    found = nonnegative_omp(atoms, target, budget=1, regularization=ridge)
    correlations = atoms @ target
    if float(correlations.max()) <= 1e-6:
        assert len(found.support) <= 1
        return
    atom = int(found.support[0])
    assert float(correlations[atom]) == pytest.approx(float(correlations.max()))
    expected = float(correlations[atom] / (atoms[atom] @ atoms[atom] + ridge))
    assert float(found.weights[0]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn_where_all_weights_are_positive(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.randn(80, 60, generator=generator, dtype=torch.float64)
    atoms /= atoms.norm(dim=1, keepdim=True)
    target = atoms[:8].T @ (1 + torch.rand(8, generator=generator, dtype=torch.float64))
    path = orthogonal_mp(atoms.T.numpy(), target.numpy(), n_nonzero_coefs=8, return_path=True)
    steps = int(((path >= 0).all(axis=0)).cumprod().sum())
    assert steps >= 2
    for k in range(1, steps + 1):
        found = nonnegative_omp(atoms, target, budget=k, tolerance=0.0)
        mine = dense(found.support, found.weights, 80)
        torch.testing.assert_close(mine, torch.tensor(path[:, k - 1]), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recovers_a_sparse_combination_exactly(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    atoms = torch.randn(300, 200, generator=generator).to(dtype)
    truth = torch.zeros(300, dtype=torch.float64)
    truth[torch.randperm(300, generator=generator)[:12]] = 1 + torch.rand(
        12, generator=generator, dtype=torch.float64
    )
    found = nonnegative_omp(atoms, truth @ atoms.double(), budget=50, tolerance=1e-16)
    kept = dense(found.support, found.weights, 300)
    torch.testing.assert_close(kept, truth, rtol=1e-6, atol=1e-7)
    assert found.residual < 1e-7


def test_single_precision_atoms_reach_a_double_precision_residual() -> None:
    """The pass over all atoms is rounded, but relative to the residual: it does not pile up."""
    generator = torch.Generator().manual_seed(1)
    atoms = torch.randn(600, 80, generator=generator) + 0.5
    found = nonnegative_omp(atoms, budget=80, tolerance=0.0)
    assert found.residual < 1e-10
    assert bool((found.weights > 0).all())


@quick
@given(problem=problems(), ridge=ridges, seed=st.integers(0, 1000))
def test_order_of_the_atoms_does_not_matter(
    problem: tuple[Tensor, Tensor], ridge: float, seed: int
) -> None:
    atoms, target = problem
    generator = torch.Generator().manual_seed(seed)
    atoms = atoms + 1e-3 * torch.randn(atoms.shape, generator=generator, dtype=torch.float64)
    order = torch.randperm(len(atoms), generator=generator)
    budget = max(1, len(atoms) // 3)
    first = nonnegative_omp(atoms, target, budget=budget, regularization=ridge)
    second = nonnegative_omp(atoms[order], target, budget=budget, regularization=ridge)
    torch.testing.assert_close(
        dense(first.support, first.weights, len(atoms)),
        dense(order[second.support], second.weights, len(atoms)),
        rtol=1e-5,
        atol=1e-7,
    )


def test_duplicated_atoms_enter_once_without_ridge() -> None:
    atoms = torch.eye(4, dtype=torch.float64).repeat(5, 1)
    found = nonnegative_omp(atoms, torch.arange(1.0, 5.0), budget=20)
    assert len(found.support) == 4
    assert sorted(found.weights.tolist()) == pytest.approx([1.0, 2.0, 3.0, 4.0])


def test_ridge_shares_the_weight_among_duplicates() -> None:
    atoms = torch.eye(2, dtype=torch.float64).repeat(3, 1)
    found = nonnegative_omp(atoms, torch.tensor([3.0, 3.0]), budget=6, regularization=0.1)
    assert len(found.support) == 6
    assert found.weights.tolist() == pytest.approx([3.0 / 3.1] * 6)


def test_nothing_to_match() -> None:
    zeros = torch.zeros(5, 3)
    assert len(nonnegative_omp(zeros, torch.ones(3), budget=3).support) == 0
    assert len(nonnegative_omp(torch.ones(5, 3), torch.zeros(3), budget=3).support) == 0
    assert len(nonnegative_omp(torch.ones(5, 3), -torch.ones(3), budget=3).support) == 0
    assert nonnegative_omp(zeros, budget=2).residual == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 0}, "budget"),
        ({"regularization": -1.0}, "regularization"),
        ({"regularization": float("nan")}, "regularization"),
        ({"tolerance": float("inf")}, "tolerance"),
        ({"target": torch.zeros(4)}, "target"),
        ({"target": torch.full((3,), float("nan"))}, "finite"),
        ({"atoms": torch.zeros(3)}, "matrix"),
        ({"atoms": torch.zeros(3, 3, dtype=torch.int64)}, "floating-point"),
        ({"atoms": torch.full((3, 3), float("inf"))}, "finite"),
    ],
)
def test_bad_input_is_named(changes: dict[str, object], message: str) -> None:
    arguments = {"atoms": torch.ones(5, 3), "target": torch.ones(3), "budget": 2, **changes}
    with pytest.raises(ValueError, match=message):
        nonnegative_omp(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("mass", [0.0, 0.7])
def test_factors_stand_for_their_outer_products(mass: float) -> None:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(30, 5, generator=generator, dtype=torch.float64)
    outputs = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    atoms = (outputs[:, :, None] * inputs[:, None, :]).flatten(1)
    extra = mass * atoms.square().sum(1).mean()
    atoms = torch.cat([atoms, extra.sqrt().expand(30, 1)], 1)
    factored = Dictionary(inputs, outputs, mass=mass)
    plain = Dictionary(atoms)
    assert factored.target_energy == pytest.approx(plain.target_energy)
    weights = torch.rand(3, generator=generator, dtype=torch.float64)
    for atom in (7, 3, 11, 20):
        torch.testing.assert_close(factored.push(atom), plain.push(atom))
    for each in (factored, plain):
        each.drop(1)
    assert factored.refit(weights) == pytest.approx(plain.refit(weights))
    torch.testing.assert_close(factored.correlations(), plain.correlations())
    for each in (factored, plain):
        torch.testing.assert_close(
            each.support_correlations(), each.correlations()[torch.tensor([7, 20, 11])]
        )
    excluded = torch.arange(30) == plain.correlations().argmax()
    assert factored.most_correlated(excluded)[0] == plain.most_correlated(excluded)[0]
    torch.testing.assert_close(factored.push(3), plain.push(3))


@quick
@given(
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    outputs=st.integers(1, 3),
    ridge=ridges,
    mass=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_lockstep_agrees_with_one_at_a_time(
    sizes: list[int], outputs: int, ridge: float, mass: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (len(sizes), max(sizes))
    inputs = torch.randn(*shape, 6, generator=generator, dtype=torch.float64)
    factors = torch.randn(*shape, outputs, generator=generator, dtype=torch.float64) + 0.5
    for group, size in enumerate(sizes):
        inputs[group, size:] = factors[group, size:] = 0.0
    targets = factors.transpose(1, 2) @ inputs
    budgets = [int(torch.randint(1, size + 1, (1,), generator=generator)) for size in sizes]
    together = batched_nonnegative_omp(
        ProblemBatch(inputs, factors, targets, torch.tensor(sizes), torch.tensor(budgets)),
        regularization=ridge,
        mass=mass,
    )
    for group, (size, budget) in enumerate(zip(sizes, budgets, strict=True)):
        dictionary = Dictionary(
            inputs[group, :size], factors[group, :size], targets[group], mass=mass
        )
        alone = nonnegative_omp(
            dictionary, budget=budget, regularization=ridge * dictionary.mean_energy
        )
        torch.testing.assert_close(
            dense(together[group].support, together[group].weights, size),
            dense(alone.support, alone.weights, size),
            rtol=1e-5,
            atol=1e-6,
        )
        assert together[group].residual == pytest.approx(alone.residual, abs=1e-6)


@quick
@given(problems(), ridges, st.integers(1, 25))
def test_smaller_budgets_lie_on_the_way(
    problem: tuple[Tensor, Tensor], ridge: float, largest: int
) -> None:
    """No worse than a pursuit of their own, for the work of the largest alone."""
    atoms, target = problem
    smaller = sorted({max(1, largest // 3), max(1, largest // 2)})
    path = nonnegative_omp(atoms, target, budget=largest, on_the_way=smaller, regularization=ridge)
    end = nonnegative_omp(atoms, target, budget=largest, regularization=ridge)
    assert torch.equal(path.support, end.support)
    assert torch.equal(path.weights, end.weights)
    for found, budget in zip(path.on_the_way, smaller, strict=True):
        alone = nonnegative_omp(atoms, target, budget=budget, regularization=ridge)
        assert len(found.support) <= budget
        assert found.objective <= alone.objective * (1 + 1e-9) + 1e-12
        weights = dense(found.support, found.weights, len(atoms))
        assert objective(atoms, target, ridge, weights) == pytest.approx(
            found.objective, rel=1e-6, abs=1e-9
        )


@quick
@given(st.integers(0, 10**6), ridges)
def test_lockstep_passes_the_same_smaller_budgets(seed: int, ridge: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(3, 20, 9, generator=generator, dtype=torch.float64) + 0.3
    ones = torch.ones(3, 20, 1, dtype=torch.float64)
    budgets = torch.tensor([[2, 4, 8], [1, 3, 6], [5, 5, 7]])
    batch = ProblemBatch(
        inputs, ones, inputs.sum(1)[:, None], torch.full((3,), 20), budgets[:, -1], budgets
    )
    for i, solution in enumerate(batched_nonnegative_omp(batch, regularization=ridge)):
        dictionary = Dictionary(inputs[i], ones[i], capacity=20)
        alone = nonnegative_omp(
            dictionary, budget=int(budgets[i, -1]), on_the_way=budgets[i].tolist(),
            regularization=ridge * dictionary.mean_energy,
        )  # fmt: skip
        for found, expected in zip(solution.on_the_way, alone.on_the_way, strict=True):
            assert set(found.support.tolist()) == set(expected.support.tolist())
            assert found.objective == pytest.approx(expected.objective, rel=1e-6, abs=1e-9)


def test_a_fresh_dictionary_correlates_with_its_target() -> None:
    atoms = torch.randn(20, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    target = torch.tensor([3.0, 0.0, -1.0, 2.0], dtype=torch.float64)
    fresh = Dictionary(atoms, None, target)
    torch.testing.assert_close(fresh.correlations(), atoms @ target)
    expected, place = (atoms @ target).max(0)
    found = fresh.most_correlated(torch.zeros(20, dtype=torch.bool))
    assert found == (int(place), pytest.approx(float(expected)))


def test_where_rounding_alone_is_left_the_search_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Atoms in a plane, and a target beyond it: nothing correlates, but for rounding."""
    generator = torch.Generator().manual_seed(0)
    atoms = torch.cat([torch.rand(1000, 2, generator=generator), torch.zeros(1000, 1)], dim=1)
    target = torch.tensor([2.0, 3.0, -5.0])
    asked: list[int] = []
    most_correlated = Dictionary.most_correlated
    monkeypatch.setattr(
        Dictionary,
        "most_correlated",
        lambda self, excluded: asked.append(0) or most_correlated(self, excluded),
    )
    found = nonnegative_omp(atoms, target, budget=50)
    best = lsq_linear(atoms.double().numpy().T, target.double().numpy(), bounds=(0, np.inf))
    assert found.objective == pytest.approx(2 * best.cost, rel=1e-12)
    assert found.objective == pytest.approx(25.0, rel=1e-12)
    assert len(asked) < 100
    one = ProblemBatch(
        atoms[None], torch.ones(1, 1000, 1), target[None, None], torch.tensor([1000]),
        torch.tensor([50]),
    )  # fmt: skip
    (lockstep,) = batched_nonnegative_omp(one, regularization=0.0)
    assert lockstep.objective == pytest.approx(25.0, rel=1e-9)
