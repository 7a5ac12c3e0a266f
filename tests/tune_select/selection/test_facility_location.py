from __future__ import annotations

from itertools import combinations
from math import e

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tune_select.selection import greedy_facility_location
from tune_select.selection.facility_location import (
    cluster_sizes,
    sample_size,
    stochastic_facility_location,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)


def cover(similarity: Tensor, rows: list[int]) -> float:
    return float(similarity[rows].max(0).values.sum())


def plain_greedy(similarity: Tensor, budget: int) -> float:
    chosen: list[int] = []
    for _ in range(budget):
        rest = [row for row in range(len(similarity)) if row not in chosen]
        chosen.append(max(rest, key=lambda row: cover(similarity, [*chosen, row])))
    return cover(similarity, chosen)


@st.composite
def similarities(draw: st.DrawFn, largest: int) -> tuple[Tensor, int]:
    n = draw(st.integers(1, largest))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    points = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        points = points.round()  # duplicates and ties
    distances = torch.cdist(points, points)
    return distances.max() - distances, draw(st.integers(1, n))


@quick
@given(problem=similarities(largest=9))
def test_greedy_guarantee_against_brute_force(problem: tuple[Tensor, int]) -> None:
    similarity, budget = problem
    best = max(
        cover(similarity, list(rows)) for rows in combinations(range(len(similarity)), budget)
    )
    chosen = greedy_facility_location(similarity, budget).tolist()
    assert len(set(chosen)) == budget
    assert cover(similarity, chosen) >= (1 - 1 / e) * best - 1e-9
    assert cover(similarity, chosen) <= best + 1e-9


@quick
@given(problem=similarities(largest=60))
def test_lazy_equals_plain_greedy(problem: tuple[Tensor, int]) -> None:
    similarity, budget = problem
    # Ties may be broken otherwise, which can change what follows: perturb them away.
    noise = torch.rand(
        similarity.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    similarity = similarity + 1e-3 * noise
    chosen = greedy_facility_location(similarity, budget).tolist()
    assert cover(similarity, chosen) == pytest.approx(plain_greedy(similarity, budget))


@quick
@given(problem=similarities(largest=40), seed=st.integers(0, 1000))
def test_stochastic_greedy_is_valid_and_repeats(problem: tuple[Tensor, int], seed: int) -> None:
    similarity, budget = problem
    first, second = (
        stochastic_facility_location(
            similarity, budget, epsilon=0.1, generator=torch.Generator().manual_seed(seed)
        ).tolist()
        for _ in range(2)
    )
    assert first == second
    assert len(set(first)) == budget
    assert all(0 <= row < len(similarity) for row in first)


def test_stochastic_greedy_comes_close_to_greedy() -> None:
    points = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(points, points)
    similarity = distances.max() - distances
    greedy = cover(similarity, greedy_facility_location(similarity, 20).tolist())
    found = [
        cover(
            similarity,
            stochastic_facility_location(
                similarity, 20, epsilon=0.01, generator=torch.Generator().manual_seed(seed)
            ).tolist(),
        )
        for seed in range(5)
    ]
    assert min(found) > 0.97 * greedy


def test_clusters_partition_the_examples() -> None:
    points = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [5.1]])
    distances = torch.cdist(points, points)
    sizes = cluster_sizes(distances.max() - distances, torch.tensor([1, 4]))
    assert sizes.tolist() == [3.0, 3.0]
    duplicates = cluster_sizes(distances.max() - distances, torch.tensor([4, 5]))
    assert duplicates.sum() == 6.0
    assert float(duplicates.min()) >= 1.0


@pytest.mark.parametrize(
    ("rows", "budget", "expected"), [(1000, 100, 47), (10, 10, 5), (10, 1, 10), (5, 5, 5)]
)
def test_sample_size(rows: int, budget: int, expected: int) -> None:
    assert sample_size(rows, budget, 0.01) == expected
