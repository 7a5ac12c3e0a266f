from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.selection import Subset, compose_histories, w_scores
from tune_select.selection.replays.composed import systematic_sample
from tune_select.selection.weighting import capped_shares

quick = settings(max_examples=60, deadline=None, derandomize=True)


def history(seed: int, intervals: int = 3, size: int = 10, n: int = 40) -> list[Subset]:
    generator = torch.Generator().manual_seed(seed)
    subsets = []
    for _ in range(intervals):
        weights = torch.rand(size, generator=generator) + 0.1
        indices = torch.randperm(n, generator=generator)[:size]
        subsets.append(Subset(indices, weights / weights.mean()))
    return subsets


def test_w_scores_add_up_over_epochs() -> None:
    one = Subset(torch.tensor([0, 2]), torch.tensor([0.5, 1.5]))
    two = Subset(torch.tensor([2, 3]), torch.tensor([1.0, 1.0]))
    assert w_scores([one, two], [20, 5], 4).tolist() == [10.0, 0.0, 35.0, 5.0]


@quick
@given(seed=st.integers(0, 10**6), size=st.integers(2, 20))
def test_systematic_samples_have_the_size_and_the_sure_members(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(40, generator=generator, dtype=torch.float64)
    scores[:5] = 0.0
    scores[5] = 100.0
    drawn = systematic_sample(capped_shares(scores, size, 1.0), generator).tolist()
    assert len(set(drawn)) == size
    assert 5 in drawn
    assert not set(drawn) & set(range(5))


def test_inclusion_probabilities_are_met() -> None:
    chances = torch.tensor([0.1, 0.9, 0.5, 0.5, 1.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(5)
    for _ in range(4000):
        counts[systematic_sample(chances, generator)] += 1
    torch.testing.assert_close(counts / 4000, chances.float(), atol=0.03, rtol=0.0)


def test_expected_weights_are_the_mean_scores() -> None:
    histories = [history(seed) for seed in range(3)]
    epochs = [4, 4, 2]
    scores = sum(w_scores(h, epochs, 40) for h in histories)
    assert isinstance(scores, torch.Tensor)
    total = torch.zeros(40, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for _ in range(1500):
        for subset in compose_histories(histories, epochs, 40, generator):
            assert len(subset) == 10
            total[subset.indices] += subset.weights.double()
    torch.testing.assert_close(total / total.sum(), scores / scores.sum(), atol=3e-3, rtol=0.05)


def test_intervals_are_drawn_afresh() -> None:
    drawn = compose_histories(
        [history(seed) for seed in range(3)], [1, 1, 1], 40, torch.Generator().manual_seed(0)
    )
    assert len({tuple(subset.indices.tolist()) for subset in drawn}) == 3


def test_histories_must_fit_each_other() -> None:
    with pytest.raises(ValueError, match="at least one history"):
        compose_histories([], [1], 40, torch.Generator())
    with pytest.raises(ValueError, match="same number and size"):
        compose_histories([history(0), history(1, size=11)], [1] * 3, 40, torch.Generator())
    with pytest.raises(ValueError, match="same number and size"):
        compose_histories([history(0)], [1, 1], 40, torch.Generator())
