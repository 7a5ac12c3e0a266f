from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.selection.budgets import class_groups, split_budget

quick = settings(max_examples=100, deadline=None, derandomize=True)


@quick
@given(sizes=st.lists(st.integers(1, 500), min_size=1, max_size=20), data=st.data())
def test_parts_sum_to_the_budget_and_fit_their_classes(
    sizes: list[int], data: st.DataObject
) -> None:
    total = sum(sizes)
    budget = data.draw(st.integers(len(sizes), total))
    parts = split_budget(torch.tensor(sizes), budget)
    assert int(parts.sum()) == budget
    assert bool((parts >= 1).all())
    assert bool((parts <= torch.tensor(sizes)).all())
    quota = torch.tensor(sizes).double() * budget / total
    if float(quota.min()) >= 1.0:  # nobody is rounded up to one: plain largest remainders
        assert bool(((parts - quota).abs() < 1.0).all())


@quick
@given(labels=st.lists(st.integers(-3, 6), min_size=1, max_size=60))
def test_groups_partition_the_examples_by_class(labels: list[int]) -> None:
    groups = class_groups(torch.tensor(labels))
    assert [labels[int(group[0])] for group in groups] == sorted(set(labels))
    for group in groups:
        assert group.tolist() == [i for i, x in enumerate(labels) if x == labels[int(group[0])]]


def test_remainders_go_to_the_largest_and_ties_to_the_first() -> None:
    assert split_budget(torch.tensor([10, 10, 10]), 10).tolist() == [4, 3, 3]
    assert split_budget(torch.tensor([16, 11, 13]), 10).tolist() == [4, 3, 3]
    assert split_budget(torch.tensor([1000, 1, 1]), 10).tolist() == [8, 1, 1]


@pytest.mark.parametrize("budget", [0, 2, 31])
def test_out_of_range(budget: int) -> None:
    with pytest.raises(ValueError, match=r"budget must be in \[3, 30\]"):
        split_budget(torch.tensor([10, 10, 10]), budget)
