"""Stratified splits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.splits import stratified_split


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=200),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 5),
)
def test_parts_are_disjoint_complete_and_balanced(
    labels: list[int], fraction: float, seed: int
) -> None:
    array = np.array(labels)
    kept, held_out = stratified_split(array, fraction, seed)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert (np.sort(kept) == kept).all()
    for label, count in zip(*np.unique(array, return_counts=True), strict=True):
        taken = int((array[held_out] == label).sum())
        assert taken <= count - 1  # every class can still be trained on
        assert abs(taken - fraction * count) < 1 or taken == count - 1


def test_the_second_part_has_exactly_its_size() -> None:
    labels = np.repeat(np.arange(10), 101)
    assert len(stratified_split(labels, 0.155, 0)[1]) == round(0.155 * 1010)


def test_seeds_repeat_and_differ() -> None:
    labels = np.repeat(np.arange(3), 20)
    first, again, other = (stratified_split(labels, 0.3, seed)[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_fraction_outside_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"fraction must be in \[0, 1\)"):
        stratified_split(np.zeros(3, np.int64), fraction, 0)
