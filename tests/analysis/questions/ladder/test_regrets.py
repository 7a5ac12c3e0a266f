import math

import numpy as np
import numpy.typing as npt
import pytest

from analysis.questions.ladder.regrets import mean_interval, pseudo_values

Array = npt.NDArray[np.float64]
RNG = np.random.default_rng(5)


def draws_of(size: int, count: int, left_out: int) -> npt.NDArray[np.bool_]:
    """Members of random draws, (D, C)."""
    whole = np.tile(np.arange(size) >= left_out, (count, 1))
    return RNG.permuted(whole, axis=1)


def test_pseudo_values_of_a_mean_are_the_values_themselves() -> None:
    """With draws that leave out each one in turn, the jackknife of a mean is the data."""
    data = RNG.normal(size=(9, 3))
    members = ~np.eye(9, dtype=bool)
    every = np.concatenate([members, members])
    values = (every[:, :, None] * data).sum(axis=1) / 8
    found = pseudo_values(values, every)
    assert found is not None
    np.testing.assert_allclose(found, data)


def test_the_interval_holds_the_luck_of_the_space_whatever_the_number_of_draws() -> None:
    """What a draw's best is worth hangs on the configurations that there are, not on the draws."""
    worth = RNG.normal(size=27)
    widths = []
    for count in (300, 3000):
        members = draws_of(27, count, left_out=5)
        values = np.where(members, worth, 0.0).sum(axis=1, keepdims=True) / 22
        found = mean_interval(values, members, resamples=400)
        assert found.low < worth.mean() < found.high
        widths.append(found.high - found.low)
    usual = 2 * 1.96 * worth.std(ddof=1) / math.sqrt(27)
    assert widths == pytest.approx([usual, usual], rel=0.25)


def test_what_is_always_the_same_has_no_spread_and_nothing_leaves_its_bounds() -> None:
    members = draws_of(10, 60, left_out=2)
    same = mean_interval(np.full((60, 3), 0.5), members)
    assert (same.low, same.high) == pytest.approx((0.5, 0.5))
    rare = np.zeros((60, 3))
    rare[::7] = 1.0
    assert mean_interval(rare, members, least=0.0).low >= 0.0


def test_too_few_draws_or_configurations_give_no_limits() -> None:
    few = draws_of(10, 3, left_out=2)
    assert not mean_interval(RNG.normal(size=(3, 3)), few).known
    small = draws_of(4, 100, left_out=1)
    assert not mean_interval(RNG.normal(size=(100, 3)), small).known
