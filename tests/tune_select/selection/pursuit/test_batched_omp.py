"""What holds after every step of both solvers, not at their end alone, where much is repaired."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tune_select.selection import nonnegative_omp
from tune_select.selection.pursuit.batched_omp import (
    ProblemBatch,
    _Lockstep,
    batched_nonnegative_omp,
)
from tune_select.selection.pursuit.dictionaries import Dictionary
from tune_select.selection.pursuit.omp import _ActiveSet

quick = settings(max_examples=6, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)
ridges = st.sampled_from([0.01, 0.5])
masses = st.sampled_from([0.0, 0.7])


def factors_of(seed: int, groups: int, n: int) -> tuple[Tensor, Tensor]:
    """Inputs (G, n, 5) and outputs (G, n, 2) of atoms so alike that some leave a support again."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(groups, n, 5, generator=generator, dtype=torch.float64) + 0.7
    outputs = torch.randn(groups, n, 2, generator=generator, dtype=torch.float64) + 0.5
    return inputs, outputs


def whole(inputs: Tensor, outputs: Tensor, mass: float) -> Tensor:
    """Atoms (n, C D + 1) as what their factors stand for, the coordinate of the mass behind."""
    atoms = (outputs[:, :, None] * inputs[:, None, :]).flatten(1)
    extra = math.sqrt(mass * float(atoms.square().sum(1).mean()))
    return torch.cat([atoms, atoms.new_full((len(atoms), 1), extra)], dim=1)


def objective(atoms: Tensor, target: Tensor, ridge: float, weights: Tensor) -> float:
    return float((weights @ atoms - target).square().sum() + ridge * weights.square().sum())


@quick
@given(seed=seeds, ridge=ridges, mass=masses)
def test_a_step_in_lockstep_never_raises_an_objective_and_keeps_its_inverse(
    seed: int, ridge: float, mass: float
) -> None:
    sizes, budgets = [12, 5, 9], [7, 3, 9]
    inputs, outputs = factors_of(seed, 3, 12)
    for group, size in enumerate(sizes):
        inputs[group, size:] = outputs[group, size:] = 0.0
    targets = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(seed)).double() * 9
    state = _Lockstep(
        ProblemBatch(inputs, outputs, targets, torch.tensor(sizes), torch.tensor(budgets)), mass
    )
    state.ridge, state.enough = ridge * state.energy, 0.0 * state.goal
    cases = []
    for group, size in enumerate(sizes):
        atoms = whole(inputs[group, :size], outputs[group, :size], mass)
        target = torch.cat([targets[group].flatten(), size * atoms[:1, -1]])
        assert float(state.goal[group]) == pytest.approx(float(target.square().sum()))
        mean = float(atoms[:, :-1].square().sum(1).mean())
        assert float(state.energy[group]) == pytest.approx(mean)
        cases.append((atoms, target, ridge * mean))
    before = [math.inf] * 3
    for _ in range(60):
        if state.all_finished():
            break
        state.step()
        for group, (atoms, target, own_ridge) in enumerate(cases):
            taken, free = state.occupied[group], ~state.occupied[group]
            support, weights = state.atoms[group, taken], state.weights[group, taken]
            assert len(set(support.tolist())) == len(support) <= budgets[group]
            assert bool((weights >= 0).all())
            for slots in (state.support_inputs, state.support_outputs, state.weights):
                assert not bool(slots[group, free].any())
            inverse = state.inverse[group]
            assert not bool(inverse[free].any())
            assert not bool(inverse[:, free].any())
            gram = atoms[support] @ atoms[support].T + own_ridge * torch.eye(len(support))
            there = inverse[taken][:, taken]
            torch.testing.assert_close(
                there @ gram, torch.eye(len(support), dtype=torch.float64), rtol=0, atol=1e-7
            )
            now = objective(atoms[support], target, own_ridge, weights)
            assert now <= before[group] * (1 + 1e-9)
            before[group] = now
            available = (
                ~state.unavailable[group, : len(atoms)] | state.rejected[group, : len(atoms)]
            )
            assert set(available.nonzero().flatten().tolist()).isdisjoint(support.tolist())
            assert bool(state.unavailable[group, len(atoms) :].all())
    assert state.all_finished()
    for (atoms, target, own_ridge), found in zip(cases, state.solutions(), strict=True):
        chosen = atoms[found.support]
        assert found.objective == pytest.approx(
            objective(chosen, target, own_ridge, found.weights), rel=1e-9
        )
        residual = target - found.weights @ chosen
        assert found.residual == pytest.approx(float(residual.norm() / target.norm()), rel=1e-9)
        flat = chosen @ residual - own_ridge * found.weights
        torch.testing.assert_close(flat, torch.zeros_like(flat), rtol=0, atol=1e-6)


@quick
@given(seed=seeds, ridge=ridges, mass=masses)
def test_each_atom_lowers_the_objective_and_keeps_the_inverse(
    seed: int, ridge: float, mass: float
) -> None:
    inputs, outputs = (each[0] for each in factors_of(seed, 1, 14))
    target = 9 * torch.randn(2, 5, generator=torch.Generator().manual_seed(seed)).double()
    dictionary = Dictionary(inputs, outputs, target, mass=mass)
    atoms = whole(inputs, outputs, mass)
    goal = torch.cat([target.flatten(), 14 * atoms[:1, -1]])
    support, own_ridge = _ActiveSet(dictionary, 9, ridge), ridge
    before = float(goal.square().sum())
    for _ in range(40):
        error = dictionary.refit(support.weights)
        chosen = atoms[support.atoms]
        now = objective(chosen, goal, own_ridge, support.weights)
        assert error + own_ridge * float(support.weights.square().sum()) == pytest.approx(now)
        assert now <= before * (1 + 1e-9)
        before = now
        if len(support) == 9 or not support.improve(error):
            break
        count = len(support)
        gram = atoms[support.atoms] @ atoms[support.atoms].T + own_ridge * torch.eye(count)
        torch.testing.assert_close(
            support._inverse[:count, :count] @ gram,
            torch.eye(count, dtype=torch.float64), rtol=0, atol=1e-7,
        )  # fmt: skip
        assert bool((support.weights > 0).all())
        assert len(set(support.atoms.tolist())) == count


def test_an_atom_that_rounding_shut_out_comes_back_once_it_is_of_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last is the difference of the two before, in their span: rounding alone promises much.

    The first, so small that this hides it, drives out one of them; only then the last is of use.
    """
    plain = torch.tensor(
        [[0, 1e-8, 1e-8, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [1e5, -1e5, 0, 0]], dtype=torch.float64
    )
    target = torch.tensor([3.0, 0.1, 1.0, 0], dtype=torch.float64)
    shut_out = 0
    rejected: list[int] = []
    reject = _ActiveSet._reject
    monkeypatch.setattr(
        _ActiveSet, "_reject", lambda self, a: rejected.append(a) or reject(self, a)
    )
    for seed in range(20):
        turned, _ = torch.linalg.qr(
            torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)).double()
        )
        atoms, goal = (plain @ turned).float(), target @ turned
        rejected.clear()
        found = nonnegative_omp(atoms, goal, budget=4, tolerance=0.0)
        shut_out += 3 in rejected[:1]
        assert found.residual < 1e-6
        one = ProblemBatch(
            atoms[None], torch.ones(1, 4, 1), goal[None, None], torch.tensor([4]), torch.tensor([4])
        )
        (together,) = batched_nonnegative_omp(one, regularization=0.0, tolerance=0.0)
        assert together.residual < 1e-6
    assert shut_out


def small(**changes: Tensor) -> ProblemBatch:
    inputs, outputs = factors_of(4, 2, 6)
    given = {"sizes": torch.tensor([6, 6]), "budgets": torch.tensor([2, 3]), **changes}
    return ProblemBatch(inputs, outputs, outputs.transpose(1, 2) @ inputs, **given)


def test_the_device_is_asked_seldom_whether_all_have_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each answer keeps it waiting; a step of problems that have finished changes nothing."""
    done: list[str] = []
    for name in ("step", "all_finished"):
        whole_method = getattr(_Lockstep, name)
        monkeypatch.setattr(
            _Lockstep,
            name,
            lambda self, name=name, method=whole_method: done.append(name) or method(self),
        )
    batched_nonnegative_omp(small(), regularization=0.1)
    assert done == ["step", "all_finished", *["step"] * 16, "all_finished"]


def test_only_the_smaller_budgets_that_were_asked_for_are_told_of() -> None:
    plain = batched_nonnegative_omp(small(), regularization=0.1)
    assert [found.on_the_way for found in plain] == [(), ()]
    asked = small(on_the_way=torch.tensor([[1], [2]]))
    found = batched_nonnegative_omp(asked, regularization=0.1)
    assert [[len(way.support) for way in one.on_the_way] for one in found] == [[1], [2]]


@pytest.mark.parametrize("wrong", [{"regularization": -0.1}, {"tolerance": float("inf")}])
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        batched_nonnegative_omp(small(), **{"regularization": 0.1, **wrong})


def test_an_atom_at_exactly_zero_leaves() -> None:
    """In powers of two, whose arithmetic is exact: the target is the second atom itself."""
    atoms = torch.tensor([[4.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    target, ones = atoms[1], torch.ones(1, 2, 1, dtype=torch.float64)
    alone = nonnegative_omp(atoms, target, budget=2)
    one = ProblemBatch(atoms[None], ones, target[None, None], torch.tensor([2]), torch.tensor([2]))
    (together,) = batched_nonnegative_omp(one, regularization=0.0)
    for found in (alone, together):
        assert (found.support.tolist(), found.weights.tolist()) == ([1], [1.0])


def test_of_a_target_of_zero_nothing_is_left() -> None:
    plain = small()
    still = replace(plain, targets=torch.zeros_like(plain.targets))
    for found in batched_nonnegative_omp(still, regularization=0.1):
        assert (len(found.support), found.objective, found.residual) == (0, 0.0, 0.0)
