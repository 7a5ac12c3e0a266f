"""Gram OMP against its direct form, least squares and scikit-learn."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import orthogonal_mp_gram
from torch import Tensor

from tune_select.selection.minibatch import gram_omp

MODULE = importlib.import_module("tune_select.selection.minibatch.gram_omp")
IN_STEP, ONE_BY_ONE = MODULE._pursue_in_step, MODULE._pursue_one_by_one


@pytest.fixture(autouse=True, scope="module", params=["one by one", "in step, as on a GPU"])
def _both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "one by one":
            patch.setattr(MODULE, "_pursue_one_by_one", IN_STEP)
        yield


def random_problem(seed: int, dimension: int, atoms: int) -> tuple[Tensor, Tensor]:
    """Atoms (d, M) and the target: their mean, as the selector has it, float64."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(dimension, atoms, generator=generator, dtype=torch.float64)
    matrix = matrix + 0.5 * torch.rand(dimension, 1, generator=generator, dtype=torch.float64)
    return matrix, matrix.mean(1)


def direct_omp(matrix: Tensor, target: Tensor, budget: int) -> tuple[list[int], Tensor]:
    """OMP from the atoms themselves: residual and least squares afresh at each step."""
    support: list[int] = []
    weights = torch.empty(0, dtype=matrix.dtype)
    residual = target
    for _ in range(budget):
        correlations = matrix.T @ residual
        correlations[support] = -torch.inf
        support.append(int(correlations.argmax()))
        weights = torch.linalg.lstsq(matrix[:, support], target, driver="gelsd").solution
        residual = target - matrix[:, support] @ weights
    return support, weights


@settings(derandomize=True, deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), atoms=st.integers(1, 20), data=st.data())
def test_gram_form_equals_direct_form(seed: int, atoms: int, data: st.DataObject) -> None:
    budget = data.draw(st.integers(1, atoms))
    matrix, target = random_problem(seed, 30, atoms)
    expected_support, expected_weights = direct_omp(matrix, target, budget)
    support, weights = gram_omp(matrix.T @ matrix, matrix.T @ target, budget)
    if budget < atoms:  # at the end the residual is rounding error, and so is the last step's order
        assert support.tolist()[:-1] == expected_support[:-1]
    order, expected_order = support.argsort(), torch.tensor(expected_support).argsort()
    if set(support.tolist()) == set(expected_support):
        torch.testing.assert_close(
            weights[order], expected_weights[expected_order], rtol=1e-6, atol=1e-9
        )


@settings(derandomize=True, deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), atoms=st.integers(2, 20), problems=st.integers(1, 3))
def test_both_ways_are_one(seed: int, atoms: int, problems: int) -> None:
    matrices, targets = zip(
        *(random_problem(seed + i, 30, atoms) for i in range(problems)), strict=True
    )
    matrix = torch.stack(matrices)
    gram, correlations = matrix.mT @ matrix, (matrix.mT @ torch.stack(targets)[:, :, None])[..., 0]
    # Half the atoms: at the end the residual is rounding error, and so is the order.
    found = [pursue(gram, correlations, atoms // 2) for pursue in (ONE_BY_ONE, IN_STEP)]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_problems_do_not_disturb_one_another() -> None:
    problems = [random_problem(seed, 40, 32) for seed in range(5)]
    gram = torch.stack([matrix.T @ matrix for matrix, _ in problems])
    target = torch.stack([matrix.T @ target for matrix, target in problems])
    support, weights = gram_omp(gram, target, 12)
    for number in range(5):
        alone = gram_omp(gram[number], target[number], 12)
        assert torch.equal(support[number], alone[0])
        torch.testing.assert_close(weights[number], alone[1])


def test_equals_scikit_learn_where_all_correlations_are_positive() -> None:
    """scikit-learn takes the largest absolute correlation; the same while none is negative."""
    generator = torch.Generator().manual_seed(3)
    matrix = torch.rand(200, 64, generator=generator, dtype=torch.float64)
    gram, target = matrix.T @ matrix, matrix.T @ matrix.mean(1)
    budget = 10
    expected = orthogonal_mp_gram(gram.numpy(), target.numpy(), n_nonzero_coefs=budget)
    support, weights = gram_omp(gram, target, budget)
    assert set(support.tolist()) == set(np.flatnonzero(expected).tolist())
    np.testing.assert_allclose(weights.numpy(), expected[support.numpy()], rtol=1e-8)


def test_recovers_a_sparse_combination_exactly() -> None:
    generator = torch.Generator().manual_seed(4)
    matrix = torch.randn(100, 40, generator=generator, dtype=torch.float64)
    true = torch.zeros(40, dtype=torch.float64)
    true[[3, 11, 29]] = torch.tensor([2.0, 1.0, 1.5], dtype=torch.float64)
    support, weights = gram_omp(matrix.T @ matrix, matrix.T @ (matrix @ true), 3)
    assert sorted(support.tolist()) == [3, 11, 29]
    torch.testing.assert_close(weights, true[support])


def test_full_budget_is_least_squares() -> None:
    matrix, target = random_problem(5, 30, 12)
    support, weights = gram_omp(matrix.T @ matrix, matrix.T @ target, 12)
    assert sorted(support.tolist()) == list(range(12))
    expected = torch.linalg.lstsq(matrix, target).solution
    torch.testing.assert_close(weights, expected[support])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_duplicates_get_weight_zero_and_do_no_harm(dtype: torch.dtype) -> None:
    matrix, _ = random_problem(6, 30, 6)
    matrix = matrix.repeat(1, 3).to(dtype)
    target = matrix.mean(1)
    support, weights = gram_omp(matrix.T @ matrix, matrix.T @ target, 18)
    assert sorted(support.tolist()) == list(range(18))
    assert int((weights != 0).sum()) == 6
    torch.testing.assert_close(matrix[:, support] @ weights, target, rtol=1e-3, atol=1e-4)


def test_zero_atoms_and_a_zero_target() -> None:
    support, weights = gram_omp(torch.zeros(4, 4), torch.zeros(4), 3)
    assert len(set(support.tolist())) == 3
    assert weights.tolist() == [0.0, 0.0, 0.0]


def test_inputs_are_not_written_to() -> None:
    matrix, target = random_problem(7, 30, 12)
    gram, correlations = matrix.T @ matrix, matrix.T @ target
    copies = gram.clone(), correlations.clone()
    gram_omp(gram, correlations, 5)
    assert torch.equal(gram, copies[0])
    assert torch.equal(correlations, copies[1])


@pytest.mark.parametrize(
    ("gram", "target", "budget", "message"),
    [
        (torch.eye(4)[:3], torch.ones(3), 2, "gram must be"),
        (torch.eye(4), torch.ones(3), 2, "target must have"),
        (torch.eye(4), torch.ones(4), 5, r"budget must be in \[1, 4\], got 5"),
        (torch.eye(4), torch.ones(4), 0, "budget must be"),
    ],
)
def test_bad_input(gram: Tensor, target: Tensor, budget: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gram_omp(gram, target, budget)
