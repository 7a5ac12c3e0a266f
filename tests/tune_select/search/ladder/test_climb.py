"""A ladder's decisions: who goes up, when, and that everybody gets an answer."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.search.ladder.climb import Climb, Rules
from tune_select.search.ladder.ranking import RankBy, Score, ranked, stays_above

VALUES = st.lists(
    st.one_of(st.sampled_from([0.1, 0.5, math.nan]), st.floats(0, 1)), min_size=1, max_size=30
)
RULES = st.builds(
    Rules,
    rungs=st.integers(2, 4),
    keep=st.integers(2, 4),
    rank_by=st.sampled_from(["both", "accuracy", "loss"]),
    confirm=st.integers(1, 3),
    asynchronous=st.booleans(),
)


def run(rules: Rules, values: list[float], slots: int, seed: int = 0, noise: float = 0.0) -> Climb:
    """A whole search: ``slots`` workers that finish in any order, on values seen with noise."""
    climb, draws = Climb(rules), random.Random(seed)
    running: list[tuple[int, int]] = []
    started = 0
    while True:
        while len(running) < slots:
            up = climb.promote()
            if up is not None:
                running.append(up)
            elif started < len(values):
                climb.enter(started)
                running.append((0, started))
                started += 1
            else:
                climb.close()
                up = climb.promote()
                if up is None:
                    break
                running.append(up)
        if not running:
            assert climb.finished()
            return climb
        rung, number = running.pop(draws.randrange(len(running)))
        seen = values[number] + draws.gauss(0, noise) / (rung + 1)
        climb.report(rung, number, Score(seen, 1 - seen))


@given(RULES, VALUES, st.integers(1, 5), st.integers(0, 100))
def test_every_search_ends_with_an_answer(
    rules: Rules, values: list[float], slots: int, seed: int
) -> None:
    climb = run(rules, values, slots, seed, noise=0.1)
    finite = sum(not math.isnan(value) for value in values)
    full = [n for n, score in climb.scores[climb.top].items() if not score.failed]
    assert (climb.best() is not None) == (finite > 0)
    assert len(full) == min(rules.confirm, len(climb.entered[climb.top]), finite)
    for lower, upper in zip(climb.entered, climb.entered[1:], strict=False):
        assert set(upper) <= set(lower)  # nobody skips a rung
    for rung, seen in enumerate(climb.scores[:-2]):
        # Every rung sends up at least the best one in keep of what it has seen in the end.
        order = [n for n in climb.order(rung) if not seen[n].failed]
        assert set(order[: math.ceil(len(seen) / rules.keep)]) <= set(climb.entered[rung + 1])


@given(RULES, VALUES, st.integers(1, 5), st.integers(0, 100))
def test_where_the_rungs_agree_the_best_is_chosen(
    rules: Rules, values: list[float], slots: int, seed: int
) -> None:
    climb = run(rules, values, slots, seed)
    best = climb.best()
    if best is not None:
        assert values[best] == max(value for value in values if not math.isnan(value))


@given(VALUES, st.integers(1, 5), st.integers(2, 4), st.integers(0, 100))
def test_a_synchronous_ladder_does_not_depend_on_the_order_of_ends(
    values: list[float], slots: int, keep: int, seed: int
) -> None:
    rules = Rules(3, keep=keep, asynchronous=False)
    one, other = run(rules, values, slots, seed), run(rules, values, 1, seed + 1)
    assert [set(rung) for rung in one.entered] == [set(rung) for rung in other.entered]
    finite = sum(not math.isnan(value) for value in values)
    assert len(one.entered[1]) == min(finite, math.ceil(len(values) / keep))


def noisy(climb: Climb, draws: random.Random, running: list[tuple[int, int]]) -> None:
    """One of those who run ends, its loss in no relation to its metric."""
    rung, number = running.pop(draws.randrange(len(running)))
    failed = draws.random() < 0.1
    metric = math.nan if failed else draws.choice([0.1, 0.5, draws.random()])
    climb.report(rung, number, Score(metric, draws.choice([math.nan, 0.5, draws.random()])))


@given(RULES, st.integers(1, 30), st.integers(1, 5), st.integers(0, 10_000))
def test_the_best_of_the_highest_rung_are_trained_fully_and_nobody_else(
    rules: Rules, points: int, slots: int, seed: int
) -> None:
    """Also where some of them began before their rung was known."""
    climb, draws = Climb(rules), random.Random(seed)
    running: list[tuple[int, int]] = []
    for number in range(points):
        climb.enter(number)
        running.append((0, number))
    climb.close()
    while running:
        noisy(climb, draws, running)
        while len(running) < slots and (up := climb.promote()) is not None:
            running.append(up)
    assert climb.finished()
    below = climb.scores[climb.top - 1]
    wanted = rules.confirm + sum(score.failed for score in climb.scores[climb.top].values())
    best = [n for n in climb.order(climb.top - 1) if not below[n].failed][:wanted]
    assert set(climb.entered[climb.top]) == set(best)


def test_a_full_training_begins_once_nothing_still_unseen_can_be_in_its_way() -> None:
    climb = Climb(Rules(2, confirm=2))
    for number in range(4):
        climb.enter(number)
    climb.report(0, 0, Score(0.9, 0.2))
    climb.report(0, 1, Score(0.8, 0.1))
    climb.close()
    climb.report(0, 2, Score(0.7, 0.3))
    assert climb.promote() is None  # with 3 in between by both scores, 0 and 1 may be third
    climb.report(0, 3, Score(math.nan))
    assert [climb.promote() for _ in range(3)] == [(1, 0), (1, 1), None]

    sure = Climb(Rules(2, confirm=2))
    for number in range(4):
        sure.enter(number)
    for number, score in enumerate([Score(0.9, 0.1), Score(0.8, 0.2), Score(0.7, 0.3)]):
        sure.report(0, number, score)
    assert sure.promote() is None  # more may start
    sure.close()
    assert [sure.promote() for _ in range(2)] == [(1, 0), None]  # 3 may be ahead of 1
    sure.report(0, 3, Score(0.95, 0.05))
    assert [sure.promote() for _ in range(2)] == [(1, 3), None]


SCORES = st.builds(
    Score,
    st.sampled_from([math.nan, 0.1, 0.2, 0.3, 0.4]),
    st.sampled_from([math.nan, 0.1, 0.2, 0.3, 0.4]),
)


@given(st.sampled_from(["both", "accuracy", "loss"]), SCORES, SCORES, st.lists(SCORES, max_size=6))
def test_who_stays_above_does_whatever_else_is_ranked(
    by: RankBy, one: Score, other: Score, rest: list[Score]
) -> None:
    order = ranked(dict(enumerate([other, one, *rest])), by)
    if stays_above(one, other, by):
        assert order.index(1) < order.index(0)


@given(st.sampled_from(["accuracy", "loss"]), SCORES, SCORES)
def test_of_two_by_one_score_one_stays_above_unless_they_are_equal(
    by: RankBy, one: Score, other: Score
) -> None:
    told = stays_above(one, other, by) + stays_above(other, one, by)
    equal = ranked({0: one, 1: other}, by) == ranked({0: other, 1: one}, by)
    assert told == (not equal and not (one.failed and other.failed))


def test_synchronous_counts_are_those_of_successive_halving() -> None:
    climb = run(
        Rules(4, keep=3, confirm=1, asynchronous=False), [i / 27 for i in range(27)], slots=2
    )
    assert [len(rung) for rung in climb.entered] == [27, 9, 3, 1]
    assert climb.best() == 26


def test_asynchronous_promotes_as_soon_as_one_is_in_the_top_third() -> None:
    """Algorithm 2 of Li et al. 2020 but that the gone count, by hand, keep 3."""
    climb = Climb(Rules(3, keep=3, rank_by="accuracy"))
    for number in range(6):
        climb.enter(number)
    climb.report(0, 0, Score(0.1))
    climb.report(0, 1, Score(0.9))
    assert climb.promote() is None  # two seen: nobody is in the top third
    climb.report(0, 2, Score(0.5))
    assert climb.promote() == (1, 1)
    assert climb.promote() is None
    climb.report(0, 3, Score(0.95))
    climb.report(0, 4, Score(0.2))
    assert climb.promote() is None  # the best of five, but one of five has gone already
    climb.report(0, 5, Score(0.3))
    assert climb.promote() == (1, 3)
    assert climb.promote() is None  # two of six have gone
    climb.report(1, 1, Score(0.9))
    assert climb.promote() is None  # the rung below the top waits until it has seen everybody
    climb.report(1, 3, Score(0.8))
    assert climb.promote() is None
    climb.close()
    assert climb.promote() == (2, 1)
    assert not climb.finished()
    climb.report(2, 1, Score(math.nan))
    assert climb.promote() == (2, 3)  # a full training that failed is replaced by the next best
    climb.report(2, 3, Score(0.85))
    assert climb.finished()
    assert climb.best() == 3


@given(st.sampled_from(["accuracy", "loss"]), VALUES, st.integers(2, 4), st.integers(0, 50))
def test_a_decision_stands(by: str, values: list[float], keep: int, seed: int) -> None:
    """Whoever is decided on the way goes up no more while anything starts; at the end all are."""
    rules = Rules(3, keep=keep, rank_by=by)  # type: ignore[arg-type]
    climb, decided = Climb(rules), {}
    draws = random.Random(seed)
    running: list[tuple[int, int]] = []
    started = 0
    while True:
        while len(running) < 3:
            up = climb.promote()
            if up is None and started < len(values):
                climb.enter(started)
                up = (0, started)
                started += 1
            elif up is None:
                climb.close()
                up = climb.promote()
            if up is None:
                break
            running.append(up)
        if not running:
            break
        rung, number = running.pop(draws.randrange(len(running)))
        climb.report(rung, number, Score(values[number], 1 - values[number]))
        for other in climb.resting():
            if climb.is_decided(other, len(values)):
                decided.setdefault(other, climb.highest(other))
    for number in climb.resting():
        if climb.is_decided(number, len(values)):
            decided.setdefault(number, climb.highest(number))
    last = climb.top - 1  # whoever is on it may be trained in full, but only behind the search
    found = {number: min(rung, last) for number, rung in decided.items()}
    assert found == {number: min(climb.highest(number), last) for number in range(len(values))}


def test_who_climbed_is_told_of_while_it_can_still_matter() -> None:
    """The best are what a searcher should learn most from; full trainings come behind its last."""
    climb = Climb(Rules(3, keep=2, asynchronous=True))
    for number in range(4):
        climb.enter(number)
        climb.report(0, number, Score(number / 10))
    assert climb.promote() == (1, 3)
    climb.report(1, 3, Score(0.5))
    assert climb.is_decided(3, 20)
    assert not climb.is_decided(2, 20)  # it may go up yet
    climb.close()
    assert not climb.is_decided(3, 20)  # now it may be trained in full


@settings(deadline=None)
@given(
    st.integers(1, 60), st.integers(2, 9), st.integers(2, 4), st.integers(1, 5), st.integers(0, 99)
)
def test_ever_better_proposals_send_up_fewer_than_twice_what_a_synchronous_rung_does(
    points: int, keep: int, rungs: int, slots: int, seed: int
) -> None:
    """A searcher that learns: each is better than all before it, so each was the best once."""
    climb = run(Rules(rungs, keep=keep), [i / points for i in range(points)], slots, seed)
    for lower, upper in zip(climb.entered[:-2], climb.entered[1:-1], strict=True):
        assert len(upper) < 2 * math.ceil(len(lower) / keep)
    assert climb.best() == points - 1


def test_where_proposals_improve_most_stay_below() -> None:
    """Algorithm 2 would send up each from the third on, 79 of 81, and 77 of those once more."""
    values = [i / 81 for i in range(81)]
    assert [len(rung) for rung in run(Rules(4, keep=3), values, slots=1).entered] == [81, 45, 22, 2]
    waits = Rules(4, keep=3, asynchronous=False)
    assert [len(rung) for rung in run(waits, values, slots=1).entered] == [81, 27, 9, 2]


@given(st.integers(1, 5), st.integers(2, 5), st.integers(0, 99))
def test_nobody_waits_for_the_rest_of_its_rung(slots: int, keep: int, seed: int) -> None:
    """What is bounded is how many, not when: one in keep of what was seen has gone at any time."""
    draws = random.Random(seed)
    climb = Climb(Rules(3, keep=keep))
    for number in range(60):
        climb.enter(number)
        climb.report(0, number, Score(draws.random()))
        while climb.promote() is not None:
            pass
        assert len(climb.entered[1]) == (number + 1) // keep


def test_a_state_without_what_is_worked_out_again_goes_on() -> None:
    """As an older version wrote it, which worked out less."""
    climb = run(Rules(3, keep=3), [i / 9 for i in range(9)], slots=1)
    state = {k: v for k, v in climb.__getstate__().items() if k not in ("_orders", "_places")}
    again = object.__new__(Climb)
    again.__setstate__(state)
    assert [again.standing(n) for n in range(9)] == [climb.standing(n) for n in range(9)]
    assert again.best() == climb.best()


def test_standing_is_higher_for_whoever_climbed_and_within_a_rung_by_its_order() -> None:
    climb = run(Rules(3, keep=3), [i / 9 for i in range(9)], slots=1)
    standing = {number: climb.standing(number) for number in range(9)}
    ladder = sorted(standing, key=standing.__getitem__)
    assert [climb.highest(n) for n in ladder] == sorted(climb.highest(n) for n in ladder)
    for rung in range(2):
        stayed = [n for n in ladder if climb.highest(n) == rung]
        assert stayed == sorted(stayed)
        assert all(rung < standing[n] < rung + 1 for n in stayed)
    # A rung whose metric is better by itself (less data, an easier measure) lifts nobody.
    easy = Climb(Rules(2, rank_by="accuracy"))
    for number, low in enumerate((0.99, 0.98, 0.97)):
        easy.enter(number)
        easy.report(0, number, Score(low))
    easy.close()
    assert easy.promote() == (1, 0)
    easy.report(1, 0, Score(0.5))
    assert easy.standing(0) > easy.standing(1) > easy.standing(2)


@pytest.mark.parametrize(
    ("by", "expected"), [("accuracy", [0, 1, 2, 3]), ("loss", [2, 1, 0, 3]), ("both", [0, 1, 2, 3])]
)
def test_ranking_by_hand(by: str, expected: list[int]) -> None:
    scores = {0: Score(0.9, 1.2), 1: Score(0.8, 1.1), 2: Score(0.7, 1.0), 3: Score(math.nan, 0.1)}
    assert ranked(scores, by) == expected  # type: ignore[arg-type]


def test_both_sums_the_ranks() -> None:
    # By metric 0 1 2 3, by loss 1 2 0 3: sums 2, 1, 3, 6.
    scores = {0: Score(0.9, 0.3), 1: Score(0.8, 0.1), 2: Score(0.7, 0.2), 3: Score(0.6, 0.9)}
    assert ranked(scores, "both") == [1, 0, 2, 3]
    unmeasured = {number: Score(score.metric) for number, score in scores.items()}
    assert ranked(unmeasured, "both") == [0, 1, 2, 3]
    assert ranked(unmeasured, "loss") == [0, 1, 2, 3]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=20), st.randoms())
def test_order_of_arrival_does_not_matter(pairs: list[tuple[float, float]], draws: object) -> None:
    scores = {number: Score(*pair) for number, pair in enumerate(pairs)}
    shuffled = list(scores.items())
    draws.shuffle(shuffled)  # type: ignore[attr-defined]
    for by in ("both", "accuracy", "loss"):
        assert ranked(dict(shuffled), by) == ranked(scores, by)  # type: ignore[arg-type]
        assert sorted(ranked(scores, by)) == sorted(scores)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"rungs": 1}, "rung below"), ({"keep": 1}, "keep must be at least 2"),
     ({"confirm": 0}, "confirm must be"), ({"rank_by": "auc"}, "'auc'")],
)  # fmt: skip
def test_bad_rules_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Rules(**{"rungs": 3, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rules", "sizes"),
    [
        (Rules(4, keep=3, confirm=1), [27, 9, 3, 1]),
        (Rules(3, keep=9, confirm=2), [27, 3, 2]),
        (Rules(2, keep=4, confirm=5), [3, 3]),
        (Rules(3, keep=4, confirm=1), [5, 2, 1]),
    ],
)
def test_rungs_shrink_by_what_is_kept_and_confirm_at_the_top(
    rules: Rules, sizes: list[int]
) -> None:
    assert rules.sizes(sizes[0]) == sizes


def test_a_ladder_that_is_told_nothing_else() -> None:
    """The ladder as it is described: one in nine goes up, at once, and one is trained on all."""
    assert Rules(3) == Rules(3, keep=9, rank_by="both", confirm=2, asynchronous=True, warm=False)
    assert Rules(3).sizes(81) == [81, 9, 2]


def test_whoever_is_too_far_back_is_decided_at_once() -> None:
    """One in three goes up: of nine three, of six (twice the three that started) two."""
    climb = Climb(Rules(3, keep=3, rank_by="accuracy"))
    for number, seen in enumerate((0.9, 0.7, 0.5, 0.3)):
        climb.enter(number)
        climb.report(0, number, Score(seen))
    assert [climb.is_decided(number, 9) for number in range(4)] == [False, False, False, True]
    assert [climb.is_decided(number, 6) for number in range(4)] == [False, False, True, True]
    assert not any(climb.is_decided(number, 12) for number in range(4))
    assert [climb.is_decided(number, -1) for number in range(4)] == [False, False, False, True]
    climb.enter(4)
    assert not climb.is_decided(4, 9), "nobody has seen it"
    assert climb.highest(4) == -1
    climb.report(0, 4, Score(math.nan))
    assert climb.is_decided(4, 99), "it failed"
    # A rung that has seen more than were promised goes by what it has seen: five of three.
    assert [climb.is_decided(number, 3) for number in range(5)] == [False, False, *[True] * 3]


@given(RULES, VALUES, st.integers(0, 100))
def test_whoever_rests_has_no_trial(rules: Rules, values: list[float], seed: int) -> None:
    """Followed from outside: who was entered, promoted and reported."""
    climb, draws = Climb(rules), random.Random(seed)
    running: dict[int, int] = {}
    started: list[int] = []
    for step in range(3 * len(values)):
        up = climb.promote()
        if up is not None:
            running[up[1]] = up[0]
        elif step < len(values):
            climb.enter(step)
            started.append(step)
            running[step] = 0
        if running and draws.random() < 0.7:
            number = draws.choice(sorted(running))
            climb.report(running.pop(number), number, Score(values[number], 1 - values[number]))
        assert climb.resting() == [number for number in started if number not in running]
        assert not climb.finished()
        assert not any(climb.settled(rung) for rung in range(rules.rungs)), "more may start"
