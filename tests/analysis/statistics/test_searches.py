from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.searches import (
    _cutoff,
    asha,
    halving,
    hyperband,
    milestones,
    rank_sum,
    some_fully,
)
from analysis.statistics.traces import Prices, Step, Trace

Array = npt.NDArray[np.float64]
RNG = np.random.default_rng(3)


SHARES = np.array([0.03, 0.1, 0.3])


def flat(scores: Array, epochs: int = 9) -> Array:
    """Curves that stand still."""
    return np.tile(np.asarray(scores, dtype=float)[:, None], epochs)


def cost(trace: Trace, curves: Array, seed: float = 0.0) -> float:
    """In full trainings, each epoch alike; rungs cost ``SHARES``."""
    n, epochs = curves.shape
    full = np.tile(np.arange(1, epochs + 1) / epochs, (n, 1))
    return float(Prices(full, np.tile(SHARES[:, None], n), seed).spent(trace.steps)[-1])


def test_halving_trains_a_third_for_three_times_as_long() -> None:
    curves = np.tile(RNG.normal(size=(16, 1)), 12)
    found = halving(curves, eta=3)
    assert milestones(12, 3, 1) == [1, 3, 9]
    # 16 for one epoch, 5 for two more, 1 for the rest.
    assert cost(found, curves) == pytest.approx((16 + 5 * 2 + 9) / 12)
    assert found.choice == curves[:, 0].argmax()


def test_halving_of_fewer_than_its_factor_leaves_one() -> None:
    curves = np.tile(np.array([[0.0], [1.0]]), 9)
    found = halving(curves, eta=3)
    assert (found.choice, cost(found, curves)) == (1, pytest.approx((2 + 8) / 9))


def test_asha_stops_what_is_below_what_its_rung_has_seen() -> None:
    falling = np.tile(np.arange(6.0)[::-1, None], 9)
    one = asha(falling, eta=3, slots=1)
    # The first runs to its end; each later one is below it after its first epoch.
    assert (one.choice, cost(one, falling)) == (0, pytest.approx((9 + 5) / 9))
    rising = asha(falling[::-1], eta=3, slots=1)
    assert (rising.choice, len(rising.steps)) == (
        5,
        6 * 9,
    )  # each is the best so far: nothing is stopped


def test_more_slots_judge_by_what_the_others_have_shown() -> None:
    curves = np.tile(np.array([[0.0], [1.0]]), 9)
    assert len(asha(curves, eta=2, slots=1).steps) == 18
    assert len(asha(curves[::-1], eta=2, slots=2).steps) == 10


def test_asha_judges_by_the_percentile_of_what_a_rung_has_seen() -> None:
    """Against NumPy's percentile, which Tune uses, with one that diverged among those seen."""
    curves = RNG.normal(size=(12, 4))
    curves[3] = -np.inf
    found = asha(curves, eta=3, slots=1)
    seen: dict[int, list[float]] = {1: [], 3: []}
    expected = []
    for number, curve in enumerate(curves):
        for epoch in range(1, 5):
            expected.append(Step(number, epoch - 1, epoch))
            if epoch not in seen:
                continue
            known = [v if np.isfinite(v) else -1e9 for v in seen[epoch]]
            stops = bool(known) and curve[epoch - 1] < np.percentile(known, 100 * (1 - 1 / 3))
            seen[epoch].append(curve[epoch - 1])
            if stops:
                break
    # With one slot and few below, the stand-in for -inf moves no percentile but the lowest.
    assert found.steps[:20] == expected[:20]


def test_a_proposer_says_who_comes_next_and_how_many() -> None:
    curves = flat(np.arange(6.0))
    asked = []

    def last_first(waiting: Sequence[int], ended: Mapping[int, float]) -> int:
        asked.append(dict(ended))
        return waiting[-1]

    found = asha(curves, slots=1, propose=last_first, trials=2)
    assert list(dict.fromkeys(step.configuration for step in found.steps)) == [5, 4]
    assert asked == [{}, {5: 5.0}]


def test_with_flat_curves_every_search_that_sees_all_finds_the_best() -> None:
    curves = np.tile(RNG.normal(size=(20, 1)), 9)
    best = curves[:, 0].argmax()
    for search in (halving, asha, hyperband):
        found = search(curves)
        assert found.choice == best
        assert 0 < cost(found, curves) <= 20


def test_hyperbands_brackets_are_those_of_the_algorithm() -> None:
    curves = np.tile(RNG.normal(size=(17, 1)), 9)
    # R = 9, eta = 3: 9 from one epoch, 5 from three, 3 from nine.
    expected = (9 + 3 * 2 + 1 * 6) + (5 * 3 + 1 * 6) + 3 * 9
    found = hyperband(curves)  # eta = 3, as in the paper
    assert cost(found, curves) == pytest.approx(expected / 9)
    assert {step.configuration for step in found.steps} == set(range(17))


def test_diverged_configurations_are_never_chosen() -> None:
    curves = np.tile(RNG.normal(size=(9, 1)), 9)
    curves[[0, 3]] = -np.inf
    for search in (halving, asha, hyperband):
        assert search(curves).choice == curves[:, 0].argmax()


def test_random_search_takes_the_best_of_what_it_trained() -> None:
    curves = flat(np.array([0.1, 0.4, 0.3, 0.9]))
    found = some_fully(curves, count=3)
    assert (found.choice, cost(found, curves)) == (1, 3.0)
    assert some_fully(curves, count=9).choice == 3


def test_the_sum_of_ranks_is_scipys() -> None:
    a, b = RNG.integers(4, size=(2, 5, 12)).astype(float)
    expected = stats.rankdata(a, axis=-1) + stats.rankdata(b, axis=-1) - 2
    np.testing.assert_allclose(rank_sum(a, b), expected)


@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_ashas_cutoff_is_the_percentile_between_two_scores(size: int, eta: int) -> None:
    seen = np.sort(RNG.normal(size=size))
    expected = np.percentile(seen, 100 * (1 - 1 / eta))
    assert _cutoff(seen.tolist(), eta) == pytest.approx(expected)


@pytest.mark.parametrize("eta", [2, 3])
@pytest.mark.parametrize("diverged", [1, 3, 7])
def test_ashas_cutoff_counts_what_diverged_as_below_all(diverged: int, eta: int) -> None:
    finite = np.sort(RNG.normal(size=7) - 50)
    seen = np.concatenate([np.full(diverged, -1e300), finite])
    expected = np.percentile(seen, 100 * (1 - 1 / eta))
    found = _cutoff([-np.inf] * diverged + finite.tolist(), eta)
    assert found == pytest.approx(expected) or max(found, expected) < -1e290
    assert -np.inf < _cutoff([-np.inf] * 4, eta) < -1e290, "whoever is finite goes on"


SEARCHES = [
    halving,
    lambda curves: asha(curves, slots=1),
    lambda curves: asha(curves, eta=2, slots=3),
    lambda curves: hyperband(curves, eta=2),
    lambda curves: some_fully(curves, count=4),
]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 14), st.integers(1, 9), st.sampled_from(SEARCHES), st.integers(0, 10**6))
def test_every_search_trains_onwards_and_takes_the_best_that_it_trained_to_the_end(
    n: int, epochs: int, search: Callable[[Array], Trace], seed: int
) -> None:
    """On curves that cross until their last epoch."""
    curves = np.random.default_rng(seed).normal(size=(n, epochs))
    found = search(curves)
    done = dict.fromkeys(range(n), 0)
    for step in found.steps:
        assert step.start == done[step.configuration] < step.end <= epochs
        done[step.configuration] = step.end
    ended = [number for number, end in done.items() if end == epochs]
    assert found.choice == max(ended, key=lambda number: curves[number, -1])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.sampled_from([2.0, 3.0]), st.integers(1, 3), st.integers(0, 10**6))
def test_halving_drops_the_worst_at_each_milestone(
    n: int, eta: float, first: int, seed: int
) -> None:
    curves, epochs = np.random.default_rng(seed).integers(5, size=(n, 9)).astype(float), 9
    steps, alive, done = halving(curves, eta=eta, first=first).steps, list(range(n)), 0
    for milestone in [*milestones(epochs, eta, first), epochs]:
        own, steps = steps[: len(alive)], steps[len(alive) :]
        assert sorted(own) == [Step(number, done, milestone) for number in sorted(alive)]
        # Python's sort is stable: of equals the first that came.
        order = sorted(alive, key=lambda number: -curves[number, milestone - 1])
        alive, done = order[: max(int(len(alive) // eta), 1)], milestone
    assert not steps
