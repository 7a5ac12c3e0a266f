from __future__ import annotations

import pytest
import torch

from tune_select.selection import Full, Random, RandomOnce, Selector
from tune_select.testing import SelectorConformance, make_signals


class TestRandom(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return Random()


class TestRandomOnce(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return RandomOnce(seed=5)


def test_random_is_drawn_anew_and_random_once_is_not() -> None:
    signals = make_signals(60)
    generators = [torch.Generator().manual_seed(seed) for seed in range(4)]
    anew = [Random().select(signals, 12, g).indices.tolist() for g in generators]
    once = [RandomOnce(seed=1).select(signals, 12, g).indices.tolist() for g in generators]
    assert len({tuple(sorted(chosen)) for chosen in anew}) == 4
    assert once == [once[0]] * 4
    assert RandomOnce(seed=2).select(signals, 12, generators[0]).indices.tolist() != once[0]


def test_a_larger_random_once_holds_the_smaller() -> None:
    signals, generator = make_signals(60), torch.Generator()
    small, large = (RandomOnce().select(signals, k, generator).indices for k in (6, 18))
    assert set(small.tolist()) < set(large.tolist())


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_a_seed_that_is_none(seed: object) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number >= 0"):
        RandomOnce(seed=seed)  # type: ignore[arg-type]


class TestFull(SelectorConformance):
    smallest_budget = 1
    exact_budget = False

    def make(self) -> Selector:
        return Full()
