from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.selection import nonnegative_omp
from tune_select.selection.pursuit.dictionaries import Dictionary
from tune_select.selection.pursuit.screening import Screen

quick = settings(max_examples=60, deadline=None, derandomize=True)


@quick
@given(
    n=st.integers(2, 400),
    d=st.integers(1, 300),
    size=st.sampled_from([1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10**6),
)
def test_the_largest_product_is_never_ruled_out(n: int, d: int, size: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator) * size
    rows *= torch.rand(n, 1, generator=generator) ** 3  # norms of all sizes
    scales = torch.randn(n, generator=generator)
    unit = torch.randn(d, generator=generator)
    unit /= unit.norm()
    excluded = torch.rand(n, generator=generator) < 0.3
    excluded[0] = False
    exact = (rows.double() @ unit.double()) * scales
    exact[excluded] = -torch.inf
    found = Screen(rows).candidates(unit, scales, excluded)
    assert found is None or int(exact.argmax()) in found.tolist()


def test_few_remain() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5000, 200, generator=generator)
    unit = torch.randn(200, generator=generator)
    nothing = torch.zeros(5000, dtype=torch.bool)
    found = Screen(rows).candidates(unit / unit.norm(), torch.ones(5000), nothing)
    assert found is not None
    assert len(found) < 40


def test_equal_rows_are_left_to_the_exact_pass() -> None:
    screen = Screen(torch.ones(500, 8))
    nothing = torch.zeros(500, dtype=torch.bool)
    assert screen.candidates(torch.full((8,), 8**-0.5), torch.ones(500), nothing) is None


@pytest.mark.parametrize("seed", range(3))
def test_screened_pursuit_chooses_the_same_atoms(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.randn(800, 60, generator=generator) + 0.3
    plain = nonnegative_omp(atoms, budget=50)
    used = []
    whole = Screen.candidates

    def counting(self: Screen, *arguments: torch.Tensor) -> torch.Tensor | None:
        used.append(whole(self, *arguments))
        return used[-1]

    monkeypatch.setattr(Screen, "pays", staticmethod(lambda rows: True))
    monkeypatch.setattr(Screen, "candidates", counting)
    screened = nonnegative_omp(atoms, budget=50)
    assert any(rows is not None for rows in used)
    assert sorted(plain.support.tolist()) == sorted(screened.support.tolist())
    assert screened.residual == pytest.approx(plain.residual, rel=1e-6)


def test_small_or_double_precision_rows_are_not_worth_it() -> None:
    assert not Screen.pays(torch.ones(100, 100))
    assert not Screen.pays(torch.ones(2000, 1000, dtype=torch.float64))


def test_large_single_precision_rows_are_screened_where_the_processor_computes_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for computes in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda found=computes: found)
        assert Screen.pays(torch.empty(1024, 1024)) is computes
        assert not Screen.pays(torch.empty(1023, 1024))
        assert not Screen.pays(torch.empty(1024, 1024, dtype=torch.float64))
        assert not Screen.pays(torch.empty(1024, 1024, device="meta"))
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert not Screen.pays(torch.empty(1024, 1024))


@pytest.mark.parametrize(("equal", "worth_it"), [(128, True), (129, False)])
def test_beyond_128_candidates_the_exact_pass_is_cheaper(equal: int, worth_it: bool) -> None:
    rows = torch.cat([torch.ones(equal, 8), -torch.ones(300, 8)])
    excluded = torch.zeros(len(rows), dtype=torch.bool)
    found = Screen(rows).candidates(torch.full((8,), 8**-0.5), torch.ones(len(rows)), excluded)
    assert found is None or found.tolist() == list(range(equal))
    assert (found is not None) == worth_it


@pytest.mark.parametrize("too_many", [False, True])
def test_few_or_too_many_the_atom_and_its_product_are_the_exact_ones(
    too_many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    atoms = torch.randn(90, 6, generator=torch.Generator().manual_seed(4))
    outputs = torch.rand(90, 1, generator=torch.Generator().manual_seed(5)) + 0.5
    plain = Dictionary(atoms, outputs, mass=0.3)
    monkeypatch.setattr(Screen, "pays", staticmethod(lambda rows: True))
    if too_many:
        monkeypatch.setattr(Screen, "candidates", lambda *arguments: None)
    screened = Dictionary(atoms, outputs, mass=0.3)
    excluded = torch.arange(90) % 3 == 0
    found, expected = (each.most_correlated(excluded) for each in (screened, plain))
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], rel=1e-5)
