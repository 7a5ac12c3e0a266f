import math
from itertools import combinations

import numpy as np
import pytest

from analysis.statistics.stopping import gain_to_come

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(("seen", "more"), [(5, 1), (10, 10), (20, 2), (30, 300)])
def test_without_noise_the_chance_of_any_change_is_that_of_exchangeable_draws(
    seen: int, more: int
) -> None:
    found = gain_to_come(RNG.normal(size=seen), more=more, regret=0.0, draws=20_000)
    # The best of seen + more draws is among the ones to come with chance more / (seen + more);
    # a part must hold at least one configuration.
    expected = min(more / (seen + more), (seen - 1) / seen)
    assert found.chance == pytest.approx(expected, abs=0.015)


def test_for_an_exponential_tail_the_chance_is_that_of_fresh_draws() -> None:
    """Memoryless gaps: a part's gaps are the whole's, so the estimate must be right on average."""
    rng = np.random.default_rng(0)
    seen, more, regret = 16, 16, 0.5
    draws = rng.exponential(size=(4000, seen + more))
    truth = (draws.max(axis=1) - draws[:, :seen].max(axis=1) > regret).mean()
    said = [
        gain_to_come(own[:seen], more=more, regret=regret, draws=200).chance for own in draws[:400]
    ]
    assert np.mean(said) == pytest.approx(truth, abs=0.03)


def test_for_a_bounded_tail_the_chance_errs_on_the_side_of_going_on() -> None:
    rng = np.random.default_rng(1)
    draws = rng.random((2000, 32))
    truth = (draws.max(axis=1) - draws[:, :16].max(axis=1) > 0.02).mean()
    said = [gain_to_come(own[:16], more=16, regret=0.02, draws=200).chance for own in draws[:200]]
    assert np.mean(said) >= truth


def test_a_larger_regret_and_fewer_to_come_leave_less_to_gain() -> None:
    scores = RNG.random(20)
    by_regret = [gain_to_come(scores, more=20, regret=r).chance for r in (0.0, 0.05, 0.2, 1.0)]
    assert by_regret == sorted(by_regret, reverse=True)
    assert by_regret[0] > by_regret[-1] == 0.0
    by_more = [gain_to_come(scores, more=m, regret=0.01).chance for m in (0, 5, 50)]
    assert by_more == sorted(by_more)
    assert by_more[0] == 0.0


def test_equal_scores_leave_nothing_to_gain() -> None:
    found = gain_to_come(np.full((12, 3), 0.1 + 0.2), more=40, regret=0.0)
    assert (found.chance, found.expected) == (0.0, 0.0)
    assert found.is_below(0.0)


def test_a_gain_that_only_one_seed_shows_counts_for_less() -> None:
    """One of three seeds puts the last configuration far ahead; its mean is the best by little."""
    scores = np.tile(np.linspace(0.5, 0.6, 10)[:, None], 3)
    scores[-1] = [0.9, 0.5, 0.5]
    steady = np.tile(scores.mean(axis=1)[:, None], 3)
    shaky, sure = (gain_to_come(s, more=10, regret=0.03, draws=8000) for s in (scores, steady))
    assert shaky.chance < sure.chance


def test_diverged_configurations_count_as_tried_and_are_never_the_answer() -> None:
    scores = np.array([0.5, 0.6, 0.7, 0.8, 0.9, -np.inf, -np.inf, np.nan])
    found = gain_to_come(scores, more=7, regret=0.0, draws=20_000)
    assert found.seen == 5
    assert found.chance == pytest.approx(7 / 14, abs=0.02)  # of the seven that ended
    assert math.isfinite(found.expected)


def test_too_few_scores_cannot_tell_and_never_stop_a_search() -> None:
    found = gain_to_come(np.array([0.1, 0.2, np.nan]), more=9, regret=0.1)
    assert math.isnan(found.chance)
    assert not found.is_below(1.0)
    assert math.isnan(gain_to_come(np.empty(0), more=9, regret=0.1).chance)


@pytest.mark.parametrize("wrong", [{"more": -1}, {"regret": -0.1}, {"draws": 0}])
def test_values_out_of_range_are_named(wrong: dict[str, float]) -> None:
    settings = {"more": 1, "regret": 0.1} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        gain_to_come(RNG.random(9), **settings)  # type: ignore[arg-type]


def test_with_two_seeds_already_a_search_may_be_misled() -> None:
    """What looks better on the seeds of another search may be worse: then more is a loss."""
    scores = np.array([[1.0, 0.0], [0.0, 0.9], *[[-1.0, -1.0]] * 6])
    alone = gain_to_come(scores[:, :1], more=2, regret=0.0, draws=2000)
    both = gain_to_come(scores, more=2, regret=0.0, draws=2000)
    means = gain_to_come(scores.mean(axis=1), more=2, regret=0.0, draws=2000)
    assert both.expected < means.expected < alone.expected


@pytest.mark.parametrize("diverged", [0, 30])
def test_nothing_to_come_brings_more_than_the_spread_of_what_was_seen(diverged: int) -> None:
    """A part of a split in which all diverged has no answer; the rest then brings the whole."""
    finite = np.linspace(100.0, 101.0, 6)
    scores = np.concatenate([finite, np.full(diverged, -np.inf)])
    found = gain_to_come(scores, more=len(scores), regret=0.5, draws=4000)
    assert 0.0 < found.expected <= 1.0
    assert found.seen == 6
    assert found.more == len(scores)


def test_gains_of_every_split_by_hand() -> None:
    """Five configurations, as many to come: two or three of them, at random, are the rest."""
    scores = np.array([0.0, 1.0, 3.0, 7.0, 15.0])
    by_split = []
    for size in (2, 3):  # 5 * 5 / 10 is 2.5, rounded either way equally often
        splits = list(combinations(range(5), size))
        by_split.append([15.0 - max(scores[i] for i in range(5) if i not in r) for r in splits])
    found = gain_to_come(scores, more=5, regret=7.5, draws=40_000)
    assert found.expected == pytest.approx(np.mean([np.mean(g) for g in by_split]), rel=0.03)
    chance = np.mean([np.mean(np.array(g) > 7.5) for g in by_split])
    assert found.chance == pytest.approx(chance, abs=0.01)
