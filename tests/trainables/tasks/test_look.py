"""The part of a split that stands for it, and how far its share can be off."""

from __future__ import annotations

import itertools
import statistics

import pytest
import torch

from trainables.tasks.look import fixed_part, part_standard_error


def test_the_part_is_stratified_and_always_the_same() -> None:
    labels = torch.tensor([0] * 700 + [1] * 200 + [2] * 100)
    part = fixed_part(labels, 0.1)
    assert part is not None
    assert torch.bincount(labels[part]).tolist() == [70, 20, 10]
    assert torch.equal(part, fixed_part(labels, 0.1))  # type: ignore[arg-type]
    assert torch.equal(part, part.unique())


def test_auto_leaves_a_small_split_whole() -> None:
    assert fixed_part(torch.zeros(2000, dtype=torch.int64), "auto") is None
    part = fixed_part(torch.arange(50_000) % 10, "auto")
    assert part is not None
    assert len(part) == 2000
    assert fixed_part(torch.zeros(0, dtype=torch.int64), "auto") is None
    assert fixed_part(torch.zeros(10, dtype=torch.int64), 1.0) is None


@pytest.mark.parametrize(("ones", "size", "part"), [(3, 8, 4), (1, 7, 2), (5, 9, 6)])
def test_the_squared_error_is_unbiased(ones: int, size: int, part: int) -> None:
    """Over all parts of a small split, its mean is the variance of the parts' shares."""
    values = [1.0] * ones + [0.0] * (size - ones)
    shares = [sum(chosen) / part for chosen in itertools.combinations(values, part)]
    squares = [part_standard_error(share, part, size) ** 2 for share in shares]
    assert statistics.fmean(squares) == pytest.approx(statistics.pvariance(shares))
