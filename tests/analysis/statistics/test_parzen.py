import numpy as np
import pytest
from scipy.stats import multivariate_normal

from analysis.statistics import parzen
from analysis.statistics.parzen import STARTUP, encoded, parzen_next


def test_numbers_are_scaled_and_names_stand_at_equal_distances() -> None:
    points = encoded(
        {"rate": [0.001, 0.01, 0.1], "optimizer": ["sgd", "adam", "sgd"], "depth": [1, 2, 3]}
    )
    assert points[:, 0].tolist() == pytest.approx([0.0, 0.5, 1.0])  # by logarithms
    assert points[:, -1].tolist() == [0.0, 0.5, 1.0]
    assert np.linalg.norm(points[0, 1:3] - points[1, 1:3]) == pytest.approx(1.0)
    half = 0.5**0.5  # "adam" first: the names in their order, a coordinate for each
    assert points[:, 1:3].ravel().tolist() == pytest.approx([0, half, half, 0, 0, half])
    assert encoded({"same": [3.0, 3.0]}).tolist() == [[0.0], [0.0]]


def test_the_first_ones_come_as_they_stand_and_then_those_near_the_best() -> None:
    points = np.linspace(0, 1, 30)[:, None]
    order = np.random.default_rng(0).permutation(30).tolist()
    ended = {number: -abs(number - 20.0) for number in order[:STARTUP]}
    waiting = order[STARTUP:]
    assert parzen_next(waiting, dict(list(ended.items())[:5]), points) == waiting[0]
    best = max(ended, key=lambda number: ended[number])
    # Of 20 candidates, one of the nearest to the best that has ended.
    nearest = sorted(waiting, key=lambda number: abs(number - best))[:4]
    assert parzen_next(waiting, ended, points) in nearest


def test_the_density_is_a_mean_of_a_flat_prior_and_gaussian_kernels() -> None:
    rng = np.random.default_rng(4)
    for count, dimensions in ((1, 1), (7, 2), (400, 3)):
        centres, at = rng.random((count, dimensions)), rng.random((5, dimensions))
        spread = max(0.2 * count ** (-1 / (dimensions + 4)), 0.05)  # Scott's rule
        kernels = np.stack([multivariate_normal(c, spread**2).pdf(at) for c in centres])
        expected = np.log((1 + np.atleast_2d(kernels).sum(axis=0)) / (count + 1))
        assert parzen._log_density(at, centres) == pytest.approx(expected)


def test_a_search_that_learns_finds_a_smooth_optimum_sooner_than_chance() -> None:
    points = np.linspace(0, 1, 60)[:, None]
    rng = np.random.default_rng(1)
    needed = []
    for _ in range(40):
        waiting, ended = rng.permutation(60).tolist(), {}
        while 43 not in ended:
            chosen = parzen_next(waiting, ended, points)
            waiting.remove(chosen)
            ended[chosen] = -abs(chosen - 43.0)
        needed.append(len(ended))
    # By chance the mean is 30.5, with a standard error of 2.7 over 40 searches.
    assert np.mean(needed) < 22


def test_numbers_below_one_are_scaled_by_their_logarithms_and_zero_has_none() -> None:
    assert encoded({"x": [1e-4, 1e-3, 1e-2]})[:, 0].tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert encoded({"x": [0.0, 50.0, 100.0]})[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert encoded({"x": [1.0, 5.5, 10.0]})[:, 0].tolist() == [0.0, 0.5, 1.0]  # not over tenfold


def test_ten_ends_are_needed_to_learn_from() -> None:
    points = np.array([*[0.1] * 9, 0.9, 0.1, 0.9])[:, None]  # one good, and one of each that waits
    ended = {number: float(number == 9) for number in range(10)}
    learned = dict(list(ended.items())[1:])
    assert parzen_next([10, 11], learned, points) == 10, "the first as they stand"
    assert parzen_next([10, 11], ended, points) == 11
