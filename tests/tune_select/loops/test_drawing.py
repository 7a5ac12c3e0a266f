from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.loops.drawing import Drawable, epoch_order, systematic
from tune_select.loops.ranks import share_of


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=60)
@given(
    weights=st.lists(st.floats(0, 5), min_size=1, max_size=30).filter(lambda w: sum(w) > 0.1),
    seed=st.integers(0, 99),
)
def test_each_is_drawn_as_often_as_expected_up_to_one(weights: list[float], seed: int) -> None:
    k, total = len(weights), sum(weights)
    drawn = systematic(torch.tensor(weights), k, generator(seed))
    counts = torch.bincount(drawn, minlength=k)
    assert int(counts.sum()) == k
    for count, weight in zip(counts.tolist(), weights, strict=True):
        assert abs(count - k * weight / total) < 1 + 1e-9


def test_over_many_epochs_examples_come_in_proportion_to_their_weights() -> None:
    weights = torch.tensor([0.1, 0.4, 1.5, 2.0])
    subset = Drawable(torch.tensor([7, 5, 3, 1]), weights)
    orders = [epoch_order(subset, "resample", generator(seed)) for seed in range(2000)]
    counts = torch.bincount(torch.tensor(orders).flatten(), minlength=8)[[7, 5, 3, 1]]
    torch.testing.assert_close(counts / 2000, weights, atol=0.05, rtol=0)


def test_without_resampling_and_with_equal_weights_each_comes_once() -> None:
    indices = torch.arange(10, 30)
    uneven = Drawable(indices, torch.rand(20) + 0.5)
    for mode in ("lookup", "ignore"):
        assert sorted(epoch_order(uneven, mode, generator())) == indices.tolist()
    for weights in (None, torch.ones(20)):
        order = epoch_order(Drawable(indices, weights), "resample", generator())
        assert sorted(order) == indices.tolist()
        assert order != indices.tolist()


def test_chosen_batches_stay_whole_and_a_short_one_comes_last() -> None:
    batches = torch.tensor([4, 4, 4, 9, 9, 9, 2, 2], dtype=torch.int32)
    subset = Drawable(torch.arange(8), torch.ones(8), batches)
    orders = {tuple(epoch_order(subset, "resample", generator(seed))) for seed in range(20)}
    assert orders == {(0, 1, 2, 3, 4, 5, 6, 7), (3, 4, 5, 0, 1, 2, 6, 7)}
    heavy = Drawable(torch.arange(6), torch.tensor([2.0] * 3 + [0.0] * 3), batches[:6])
    assert epoch_order(heavy, "resample", generator()) == [0, 1, 2, 0, 1, 2]
    assert sorted(epoch_order(heavy, "ignore", generator())) == list(range(6))


@given(size=st.integers(1, 40), count=st.integers(1, 9))
def test_shares_are_equally_long_disjoint_and_cover_everything(size: int, count: int) -> None:
    order = list(range(size))
    shares = [share_of(order, rank, count) for rank in range(count)]
    assert {len(share) for share in shares} == {-(-size // count)}
    assert {i for share in shares for i in share} == set(order)
    assert sum(map(len, shares)) - size == -size % count
