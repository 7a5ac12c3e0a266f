import numpy as np
import pytest

from analysis.statistics.traces import FULL, Prices, Step, along, incumbents

# Three configurations, four epochs, two rungs.
FULL_SCORES = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.2, 0.2, 0.2, 0.2]])
RUNGS = np.array([[0.3, 0.2, 0.1], [0.5, 0.6, 0.4]])


def test_what_was_spent_is_the_seeds_price_and_each_steps() -> None:
    curve = np.cumsum(np.full((3, 4), 2.0), axis=1)
    prices = Prices(curve, np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]), seed=5.0)
    steps = [Step(0, 0, 0, 0), Step(2, 0, 0, 1), Step(1, 0, 1), Step(1, 1, 4, FULL)]
    assert prices.spent(steps).tolist() == pytest.approx([5.1, 8.1, 10.1, 16.1])


def test_the_best_of_the_highest_rung_is_held_for_best() -> None:
    steps = [
        *(Step(1, 0, 0, 0), Step(0, 0, 0, 0), Step(2, 0, 0, 0)),
        *(Step(2, 0, 0, 1), Step(0, 0, 0, 1), Step(0, 0, 4, FULL)),
    ]
    # 0 passes 1 on the lowest rung; 2 is the first on the next, whatever it has there.
    assert incumbents(steps, FULL_SCORES, RUNGS).tolist() == [1, 0, 0, 2, 0, 0]


def test_on_curves_the_latest_values_count_until_one_has_ended() -> None:
    none = np.empty((0, 3))
    steps = [Step(1, 0, 1), Step(2, 0, 1), Step(1, 1, 3), Step(0, 0, 3), Step(1, 3, 4)]
    # 1 falls to 0.2, no less than what 2 has; 0 has 0.3 after three epochs; 1 alone has ended.
    assert incumbents(steps, FULL_SCORES, none).tolist() == [1, 1, 1, 0, 1]


def test_a_value_holds_from_the_end_of_its_step_on() -> None:
    found = along(np.array([1.0, 2.0]), np.array([7.0, 8.0]), np.array([0.5, 1.0, 1.5, 3.0]))
    np.testing.assert_array_equal(found, [np.nan, 7.0, 7.0, 8.0])
