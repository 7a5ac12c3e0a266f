import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.losses import difference_limits, loss_limits, two_way_error, usual_ratio

POSITIVE = st.floats(0.001, 10)


def test_one_seed_has_the_standard_error_of_a_mean() -> None:
    cells = np.random.default_rng(0).normal(size=(12, 1))
    error, degrees = two_way_error(cells)
    assert error == pytest.approx(stats.sem(cells[:, 0]))
    assert degrees == 11


@pytest.mark.parametrize("spread", [(1.0, 0.0), (0.3, 1.0), (0.0, 2.0)])
def test_the_error_is_that_of_means_over_samples_of_both(spread: tuple[float, float]) -> None:
    """var(a) / C + var(b) / S + var(e) / CS, on average over samples."""
    rng, found = np.random.default_rng(1), []
    for _ in range(2000):
        cells = rng.normal(size=(8, 3))
        cells += rng.normal(0, spread[0], (8, 1)) + rng.normal(0, spread[1], (1, 3))
        found.append(two_way_error(cells)[0] ** 2)
    expected = spread[0] ** 2 / 8 + spread[1] ** 2 / 3 + 1 / 24
    # A part that is never negative is a little too large on average where there is none.
    assert 0.95 <= np.mean(found) / expected <= (1.05 if spread[1] else 1.15)


def test_seeds_that_differ_much_leave_the_degrees_of_so_few_seeds() -> None:
    cells = np.random.default_rng(2).normal(size=(20, 3)) + np.array([-50.0, 0.0, 50.0])
    assert two_way_error(cells)[1] == pytest.approx(2.0, rel=0.01)
    same = np.random.default_rng(2).normal(size=(20, 1)) * np.ones((1, 3))
    assert two_way_error(same)[1] == pytest.approx(19.0, rel=0.01)


def test_cells_that_are_all_equal_have_no_error_and_the_degrees_of_their_configurations() -> None:
    assert two_way_error(np.full((7, 3), 0.25)) == (0.0, 6.0)
    assert two_way_error(np.full((7, 1), 0.25)) == (0.0, 6.0)


def test_where_losses_are_large_beside_their_error_limits_are_students() -> None:
    limits = loss_limits(5.0, error=0.1, degrees=9)
    assert limits == pytest.approx(stats.t.interval(0.95, 9, loc=5.0, scale=0.1))
    found = difference_limits(-0.2, 5.0, error=0.5, degrees=9)
    assert found == pytest.approx(stats.t.interval(0.95, 9, loc=-0.2, scale=0.5))


@given(POSITIVE, POSITIVE, st.floats(2, 40), st.floats(0, 1))
def test_the_upper_limit_is_judged_by_the_variance_that_it_would_have(
    loss: float, error: float, degrees: float, least: float
) -> None:
    low, high = loss_limits(loss, error=error, degrees=degrees, least_ratio=least)
    student = stats.t.ppf(0.975, degrees) * error
    assert low == max(0.0, loss - student)
    assert high >= loss + student - 1e-9
    if high > loss + student + 1e-9:
        spread = math.sqrt(max(error**2 / loss, least) * high)
        assert high - loss == pytest.approx(stats.norm.ppf(0.975) * spread, rel=1e-6)


def test_a_loss_that_was_never_seen_is_bounded_by_what_others_lose() -> None:
    low, high = loss_limits(0.0, error=0.0, degrees=20, least_ratio=0.1)
    assert low == 0.0
    assert high == pytest.approx(stats.norm.ppf(0.975) ** 2 * 0.1)  # Wilson's, of no event
    assert loss_limits(0.0, error=0.0, degrees=20) == (0.0, 0.0)
    found = difference_limits(0.0, 0.5, error=0.0, degrees=20, least_ratio=0.1)
    reach = stats.t.ppf(0.975, 20) * math.sqrt(0.05)
    assert found == pytest.approx((-reach, reach))


def test_the_usual_ratio_is_the_lower_quartile_of_those_that_lost() -> None:
    assert usual_ratio([1.0, 2.0, 4.0, 0.0], [1.0, 2.0, 4.0, 0.0]) == pytest.approx(1.5)
    assert usual_ratio([0.0], [0.0]) == 0.0


@pytest.mark.parametrize("effects", [(0.0, 0.0), (1.0, 0.2), (0.2, 3.0)])
def test_the_error_is_that_of_the_analysis_of_variance(effects: tuple[float, float]) -> None:
    """Mean squares by a regression on dummies: (rows + columns - residual) / CS, none negative."""
    rng, (c, s) = np.random.default_rng(6), (9, 4)
    cells = rng.normal(size=(c, s))
    cells += rng.normal(0, effects[0], (c, 1)) + rng.normal(0, effects[1], (1, s))
    row, column = np.repeat(np.eye(c), s, axis=0), np.tile(np.eye(s), (c, 1))

    def left(*factors: np.ndarray) -> float:
        design = np.concatenate([np.ones((c * s, 1)), *factors], axis=1)
        fitted = design @ np.linalg.lstsq(design, cells.ravel(), rcond=None)[0]
        return float(((cells.ravel() - fitted) ** 2).sum())

    noise = left(row, column) / ((c - 1) * (s - 1))
    of_rows = (left(column) - left(row, column)) / (c - 1)
    of_columns = (left(row) - left(row, column)) / (s - 1)
    expected = (of_rows + max(0.0, of_columns - noise)) / (c * s)
    error, degrees = two_way_error(cells)
    assert error == pytest.approx(math.sqrt(expected))
    parts = ((of_rows, c - 1), (of_columns, s - 1), (noise, (c - 1) * (s - 1)))
    spread = sum(part**2 / own for part, own in parts)
    assert degrees == pytest.approx((expected * c * s) ** 2 / spread)
