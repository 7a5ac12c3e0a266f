import numpy as np
import pytest
from scipy import stats

from analysis.statistics.searches import (
    asha,
    halving,
    hyperband,
    ladder,
    milestones,
    rank_sum,
    some_fully,
)

RNG = np.random.default_rng(3)


def test_the_ladders_cost_is_that_of_its_trainings() -> None:
    """3% for all 16, 10% for the best 6, 30% for the best 2, one in full."""
    scores = RNG.normal(size=16)
    found = ladder([scores] * 3, [0.03, 0.1, 0.3], scores, keep=3)
    assert found.choice == scores.argmax()
    assert found.cost == pytest.approx(16 * 0.03 + 6 * 0.1 + 2 * 0.3 + 1)
    several = ladder([scores] * 3, [0.03, 0.1, 0.3], scores, keep=3, confirm=2, seed_cost=0.2)
    assert several.cost == pytest.approx(found.cost + 1.2)


def test_a_rung_that_misleads_loses_what_it_dropped() -> None:
    full = np.arange(9.0)
    found = ladder([-full, full], [0.1, 0.3], full, keep=3)
    assert found.choice == 2  # the lowest rung kept 0, 1 and 2


def test_halving_trains_a_third_for_three_times_as_long() -> None:
    curves = np.tile(RNG.normal(size=(16, 1)), 12)
    found = halving(curves, eta=3)
    assert milestones(12, 3, 1) == [1, 3, 9]
    # 16 for one epoch, 5 for two more, 1 for the rest.
    assert found.cost == pytest.approx((16 + 5 * 2 + 9) / 12)
    assert found.choice == curves[:, 0].argmax()


def test_asha_stops_what_is_below_what_its_rung_has_seen() -> None:
    falling = np.tile(np.arange(6.0)[::-1, None], 9)
    one = asha(falling, eta=3, slots=1)
    # The first runs to its end; each later one is below it after its first epoch.
    assert one == (0, pytest.approx((9 + 5) / 9))
    rising = asha(falling[::-1], eta=3, slots=1)
    assert rising == (5, pytest.approx(6.0))  # each is the best so far: nothing is stopped


def test_more_slots_judge_by_what_the_others_have_shown() -> None:
    curves = np.tile(np.array([[0.0], [1.0]]), 9)
    assert asha(curves, eta=2, slots=1).cost == pytest.approx(2.0)
    assert asha(curves[::-1], eta=2, slots=2).cost == pytest.approx(1 + 1 / 9)


def test_with_flat_curves_every_search_that_sees_all_finds_the_best() -> None:
    curves = np.tile(RNG.normal(size=(20, 1)), 9)
    best = curves[:, 0].argmax()
    for search in (halving, asha, hyperband):
        found = search(curves)
        assert found.choice == best
        assert 0 < found.cost <= 20


def test_hyperbands_brackets_are_those_of_the_algorithm() -> None:
    curves = np.tile(RNG.normal(size=(17, 1)), 9)
    # R = 9, eta = 3: 9 from one epoch, 5 from three, 3 from nine.
    cost = (9 + 3 * 2 + 1 * 6) + (5 * 3 + 1 * 6) + 3 * 9
    assert hyperband(curves, eta=3).cost == pytest.approx(cost / 9)


def test_diverged_configurations_are_never_chosen() -> None:
    curves = np.tile(RNG.normal(size=(9, 1)), 9)
    curves[[0, 3]] = -np.inf
    for search in (halving, asha, hyperband):
        assert search(curves).choice == curves[:, 0].argmax()


def test_random_search_takes_the_best_of_what_it_trained() -> None:
    full = np.array([0.1, 0.4, 0.3, 0.9])
    assert some_fully(full, count=3) == (1, 3.0)
    assert some_fully(full, count=9) == (3, 4.0)


def test_the_sum_of_ranks_is_scipys() -> None:
    a, b = RNG.integers(4, size=(2, 5, 12)).astype(float)
    expected = stats.rankdata(a, axis=-1) + stats.rankdata(b, axis=-1) - 2
    np.testing.assert_allclose(rank_sum(a, b), expected)
