"""Selective-Backprop in both forms, and its ring buffer, against brute force."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.selection.minibatch import (
    BatchSignals,
    LossHistory,
    SelectiveBackprop,
    SelectiveBackpropFixed,
)

BATCHES = st.lists(
    st.lists(st.floats(0, 10, width=32).map(lambda x: round(x, 1)), min_size=1, max_size=12),
    min_size=1,
    max_size=8,
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(batches=BATCHES, size=st.integers(1, 30))
def test_ring_buffer_equals_brute_force(batches: list[list[float]], size: int) -> None:
    """Ties, a buffer that is not full yet, wrapping around, and batches larger than the buffer."""
    history, recent = LossHistory(size), deque[float](maxlen=size)
    for batch in batches:
        losses = torch.tensor(batch)
        history.add(losses)
        recent.extend(losses.tolist())
        expected = [sum(x <= loss for x in recent) / len(recent) for loss in losses.tolist()]
        assert len(history) == len(recent)
        assert history.percentiles(losses).tolist() == pytest.approx(expected)


def test_an_empty_history_has_no_percentiles() -> None:
    with pytest.raises(ValueError, match="no losses yet"):
        LossHistory(4).percentiles(torch.ones(1))


def test_history_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="history_size=4"):
        LossHistory(4).load_state_dict(LossHistory(5).state_dict())


def signals_of(seed: int, size: int = 64) -> BatchSignals:
    return BatchSignals.of_losses(torch.rand(size, generator=torch.Generator().manual_seed(seed)))


def test_beta_zero_selects_everything() -> None:
    selector, generator = SelectiveBackprop(beta=0), torch.Generator().manual_seed(0)
    for batch in range(10):
        choice = selector.choose(signals_of(batch), 16, generator)
        assert choice.positions.tolist() == list(range(64))


@pytest.mark.parametrize(("beta", "share"), [(1.0, 1 / 2), (2.0, 1 / 3), (None, 1 / 4)])
def test_share_chosen_follows_from_beta(beta: float | None, share: float) -> None:
    """E[U^beta] = 1 / (1 + beta) for a uniform percentile U; None aims at the budget, 16 of 64."""
    selector, generator = SelectiveBackprop(beta), torch.Generator().manual_seed(0)
    chosen = sum(len(selector.choose(signals_of(i), 16, generator)) for i in range(200))
    assert chosen / (200 * 64) == pytest.approx(share, abs=0.02)


def test_higher_losses_are_chosen_more_often() -> None:
    """The frequency of each rank is near its probability."""
    selector, generator = (
        SelectiveBackprop(beta=2, history_size=64),
        torch.Generator().manual_seed(0),
    )
    signals, counts, draws = BatchSignals.of_losses(torch.linspace(0, 1, 64)), torch.zeros(64), 2000
    for _ in range(draws):
        counts[selector.choose(signals, 16, generator).positions] += 1
    expected = (torch.arange(1, 65) / 64).square()
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert bool(((counts / draws - expected).abs() <= 4.5 * deviation).all())


def test_fixed_size_draws_follow_the_percentiles() -> None:
    """The first of the drawn is distributed as percentile^beta; all are distinct."""
    signals, generator = BatchSignals.of_losses(torch.linspace(0, 1, 8)), torch.Generator()
    generator.manual_seed(0)
    selector, counts, draws = SelectiveBackpropFixed(beta=1.5), torch.zeros(8), 8000
    for _ in range(draws):
        counts[selector.choose(signals, 1, generator).positions] += 1
    weights = ((torch.arange(8) + 0.5) / 8) ** 1.5
    expected = weights / weights.sum()
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert bool(((counts / draws - expected).abs() <= 4.5 * deviation).all())
    for _ in range(100):
        assert len(set(selector.choose(signals, 5, generator).positions.tolist())) == 5


def test_fixed_size_draws_in_proportion_to_the_loss() -> None:
    """Cai et al., section 3.1: example i with probability L_i / L_batch."""
    losses = torch.tensor([0.0, 0.5, 1.0, 2.5])
    signals, generator = BatchSignals.of_losses(losses), torch.Generator().manual_seed(0)
    selector, counts, draws = SelectiveBackpropFixed(importance="loss"), torch.zeros(4), 6000
    for _ in range(draws):
        counts[selector.choose(signals, 1, generator).positions] += 1
    expected = losses / losses.sum()
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert bool(((counts / draws - expected).abs() <= 4.5 * deviation).all())
    # Without replacement the one without loss comes last.
    three = selector.choose(signals, 3, generator).positions
    assert sorted(three.tolist()) == [1, 2, 3]
    with pytest.raises(ValueError, match="importance must be percentile or loss, got 'rank'"):
        SelectiveBackpropFixed(importance="rank")  # type: ignore[arg-type]


@pytest.mark.parametrize("build", [SelectiveBackprop, SelectiveBackpropFixed])
@pytest.mark.parametrize("beta", [-0.1, float("nan")])
def test_beta_must_not_be_negative(
    build: type[SelectiveBackprop] | type[SelectiveBackpropFixed], beta: float
) -> None:
    with pytest.raises(ValueError, match="beta must be at least 0"):
        build(beta=beta)


def test_history_size_must_be_positive() -> None:
    with pytest.raises(ValueError, match="history_size must be at least 1, got 0"):
        SelectiveBackprop(history_size=0)
