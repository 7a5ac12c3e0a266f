from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.search.crossing import Assignment, Crossing
from tune_select.search.nearest_seed import nearest_seed
from tune_select.search.trial_order import Exhausted, TrialOrder


def drawing(points: int) -> Callable[[int], Mapping[str, Any]]:
    def draw(drawn: int) -> Mapping[str, Any]:
        if drawn >= points:
            raise Exhausted
        return {"rate": drawn, "history": "h"}

    return draw


def crossing(**changes: Any) -> Crossing:
    values: dict[str, Any] = {
        "seed_configs": [{"rate": 7, "history": "h"}],
        "arms": ("cached", "full"),
        "seeds": (0, 1),
    }
    return Crossing(**{**values, **changes})


def hand_out(order: TrialOrder, points: int, *, eager: bool = True) -> list[Assignment]:
    """Everything that can be handed out now."""
    given_out = []
    while True:
        try:
            job = order.next(drawing(points), eager=eager)
        except Exhausted:
            return given_out
        if job is None:
            return given_out
        order.handed_out(f"t{len(order._live)}-{job.point}-{id(job)}", job)
        given_out.append(job)


def seed_id(order: TrialOrder) -> str:
    (trial_id,) = order._seed_trials
    return trial_id


COMPLETE = {"history_published": 2, "history_complete": True}


def test_the_seed_is_first_and_replays_wait_for_it() -> None:
    order = TrialOrder(crossing())
    first = hand_out(order, points=3)
    assert first[0].is_seed
    assert first[0].config == {
        "rate": 7,
        "history": "h",
        "arm": "seed",
        "seed": 0,
        "configuration": 0,
    }
    assert [job.config["arm"] for job in first[1:]] == ["full"] * 6
    order.note_result(seed_id(order), {"history_published": 1})
    assert hand_out(order, points=3) == []
    order.note_result(seed_id(order), COMPLETE)
    assert [job.config["arm"] for job in hand_out(order, points=3)] == ["cached"] * 6
    with pytest.raises(Exhausted):
        order.next(drawing(3), eager=True)


@settings(max_examples=50)
@given(
    points=st.integers(0, 5),
    arms=st.lists(st.sampled_from(["cached", "full", "random", "craig"]), min_size=1, unique=True),
    seeds=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    eager=st.booleans(),
)
def test_every_point_meets_every_arm_and_seed_exactly_once(
    points: int, arms: list[str], seeds: list[int], eager: bool
) -> None:
    order = TrialOrder(crossing(arms=arms, seeds=seeds))
    jobs = hand_out(order, points, eager=eager)
    order.note_result(seed_id(order), COMPLETE)
    jobs += hand_out(order, points, eager=eager)
    crossed = [(job.config["rate"], job.config["arm"], job.config["seed"]) for job in jobs[1:]]
    assert sorted(crossed) == sorted(
        (point, arm, seed) for point in range(points) for arm in arms for seed in seeds
    )
    numbers = {job.config["rate"]: job.number for job in jobs[1:]}
    assert sorted(numbers.values()) == list(range(1, points + 1))


def test_a_searcher_is_not_asked_before_a_history_is_open() -> None:
    order = TrialOrder(crossing())
    assert [job.is_seed for job in hand_out(order, points=3, eager=False)] == [True]


def test_a_point_equal_to_the_seed_shares_its_number() -> None:
    order = TrialOrder(crossing(seed_configs=[{"rate": 1, "history": "h"}]))
    jobs = hand_out(order, points=3)
    assert {job.config["rate"]: job.number for job in jobs[1:]} == {0: 1, 1: 0, 2: 2}


def test_room_beside_a_running_seed_is_used_up() -> None:
    order = TrialOrder(crossing(arms=("cached",), seeds=(0,)))
    hand_out(order, points=9)
    order.room, order.open = 2, frozenset({"another"})
    assert hand_out(order, points=9) == []
    order.open = frozenset({"h"})
    assert len(hand_out(order, points=9)) == 2
    assert hand_out(order, points=9) == []
    order.room = 1
    assert len(hand_out(order, points=9)) == 1


def test_a_searcher_is_asked_once_there_is_room_behind_an_open_history_and_not_before() -> None:
    order, asked = TrialOrder(crossing(arms=("cached",), seeds=(0,))), []

    def draw(drawn: int) -> Mapping[str, Any]:
        asked.append(drawn)
        return {"rate": drawn, "history": "h"}

    seed = order.next(draw, eager=False)
    assert seed is not None
    order.handed_out("s", seed)
    for room, opened in ((0, "h"), (2, "")):
        order.room, order.open = room, frozenset(opened)
        assert order.next(draw, eager=False) is None
        assert asked == []
    order.room, order.open = 1, frozenset("h")
    assert order.next(draw, eager=False) is not None
    assert order.next(draw, eager=False) is None
    assert asked == [0]


def test_what_waits_for_nobody_goes_before_replays_beside_a_running_seed() -> None:
    order = TrialOrder(crossing(seeds=(0,)))
    order.room, order.open = 9, frozenset({"h"})
    assert [job.config["arm"] for job in hand_out(order, points=2)] == [
        "seed",
        "full",  # of the first point; its replay, for which there is room, comes after it
        "cached",
        "full",
        "cached",
    ]


def test_an_endless_search_does_not_flood_while_the_history_is_closed() -> None:
    order = TrialOrder(crossing())
    count = 0
    while order.next(drawing(10**9), eager=True) is not None:
        count += 1
    assert 1000 < count < 2100


def test_each_replay_waits_for_its_own_seed() -> None:
    seeds = [{"rate": 0, "history": "a"}, {"rate": 1, "history": "b"}]
    order = TrialOrder(crossing(seed_configs=seeds, arms=("cached",), seeds=(0,)))

    def draw(drawn: int) -> Mapping[str, Any]:
        if drawn >= 4:
            raise Exhausted
        return {"rate": drawn, "history": "ab"[drawn % 2]}

    for trial_id in ("a", "b"):
        job = order.next(draw, eager=True)
        assert job is not None
        order.handed_out(trial_id, job)
    assert order.next(draw, eager=True) is None
    order.note_result("b", COMPLETE)
    found = [order.next(draw, eager=True), order.next(draw, eager=True)]
    assert [job.config["history"] for job in found if job] == ["b", "b"]
    assert order.next(draw, eager=True) is None
    order.note_end("a", COMPLETE, error=False)
    found = [order.next(draw, eager=True), order.next(draw, eager=True)]
    assert [job.config["history"] for job in found if job] == ["a", "a"]


def test_of_a_failed_seed_one_replay_is_handed_out_once_nothing_else_lives() -> None:
    """So that the scheduler, which will hold it, is called and can end the run."""
    order = TrialOrder(crossing())
    hand_out(order, points=1)
    order.note_end(seed_id(order), None, error=True)
    assert hand_out(order, points=1) == []  # baselines still run
    for trial_id in list(order._live):
        order.note_end(trial_id, {}, error=False)
    (held,) = hand_out(order, points=1)
    assert held.is_replay
    order.forget_failures()  # a restored sweep tries again
    assert order.next(drawing(1), eager=True) is None
    order.note_result(seed_id(order), COMPLETE)
    (other,) = hand_out(order, points=1)
    assert other.is_replay
    assert other.config["seed"] != held.config["seed"]


def test_a_replay_of_a_failed_seed_is_drawn_when_none_waits() -> None:
    order = TrialOrder(crossing(arms=("cached",), seeds=(0,)))
    (seed,) = hand_out(order, points=2)
    assert seed.is_seed
    order.note_end(seed_id(order), None, error=True)
    (held,) = hand_out(order, points=2)
    assert held.is_replay
    order.forget_failures()
    order.note_result(seed_id(order), COMPLETE)
    (other,) = hand_out(order, points=2)
    assert other.config["rate"] != held.config["rate"]


def test_the_nearest_seed_is_found_by_ratio_and_by_name() -> None:
    seeds = [
        {"fraction": 0.01, "model": "a"},
        {"fraction": 0.1, "model": "a"},
        {"fraction": 0.1, "model": "b"},
    ]
    keys = ["fraction", "model"]
    assert nearest_seed({"fraction": 0.04, "model": "a"}, seeds, keys) == seeds[1]
    assert nearest_seed({"fraction": 0.03, "model": "a"}, seeds, keys) == seeds[0]
    assert nearest_seed({"fraction": 0.01, "model": "b"}, seeds, keys) == seeds[2]
    with pytest.raises(ValueError, match="seed_by names 'depth'"):
        nearest_seed({"fraction": 1}, seeds, ["depth"])
    # Nothing has a ratio to zero or below, so there the difference counts; names are all unlike.
    shifts = [{"shift": -5.0}, {"shift": 0.0}, {"shift": 100.0}, {"shift": "none"}]
    for shift, place in ((-3.0, 0), (-2.0, 1), (0.0, 1), (30.0, 2), ("none", 3), (True, 0)):
        assert nearest_seed({"shift": shift}, shifts, ["shift"]) == shifts[place], shift


def test_a_replay_without_a_seed_of_its_own_may_take_the_nearest() -> None:
    seeds = [
        {"rate": r, "history": {"root": "/h", "store": None, "seed_by": ["rate"]}} for r in (1, 10)
    ]
    order = TrialOrder(
        crossing(seed_configs=seeds, arms=("cached",), seeds=(0,), seed_by=("rate",))
    )

    def draw(drawn: int) -> Mapping[str, Any]:
        return {"rate": [1, 4][drawn], "history": seeds[0]["history"]}

    for trial_id in ("1", "10"):
        job = order.next(draw, eager=True)
        assert job is not None
        order.handed_out(trial_id, job)
        order.note_result(trial_id, COMPLETE)
    own, nearest = order.next(draw, eager=True), order.next(draw, eager=True)
    assert own is not None
    assert nearest is not None
    of_seeds = [order.crossing.history_of(seed) for seed in seeds]
    assert own.history == of_seeds[0]
    assert nearest.history == of_seeds[1]
    assert nearest.config["history"]["path"] == of_seeds[1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"arms": ()}, "at least one arm"),
        ({"arms": ("a", "a")}, "arms must be distinct"),
        ({"seeds": (1, 1)}, "seeds must be distinct"),
        ({"arms": ("seed", "cached")}, "arms lists 'seed'"),
        ({"seed_configs": [{"history": "h"}, {"history": "h"}]}, "two seeds would write"),
    ],
)
def test_what_cannot_be_crossed_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        crossing(**changes)


def test_seed_trials_that_differ_in_their_training_seed_alone_are_one_configuration() -> None:
    seeds = [{"rate": 0, "history": f"h{s}", "seed": s} for s in (0, 1)]
    order = TrialOrder(crossing(seed_configs=seeds, arms=("full",)))
    jobs = hand_out(order, points=2)
    assert [job.number for job in jobs if job.is_seed] == [0, 0]
    assert sorted({job.number for job in jobs if job.config["rate"] == 0}) == [0]
    assert len({job.number for job in jobs}) == 2


def test_a_point_that_no_history_can_fit_ends_the_search_at_once() -> None:
    table = {"fraction": 0.1, "select_every": 5}
    order = TrialOrder(crossing(seed_configs=[{"history": "h", "selection": table}]))

    def draw(selection: dict[str, Any]) -> Callable[[int], Mapping[str, Any]]:
        return lambda drawn: {"history": "h", "rate": 1, "selection": selection}

    assert order.next(draw(table), eager=True) is not None  # the seed
    message = r"selection\.fraction=0\.5, but the seed .* has fraction 0\.1: .*seed_by"
    with pytest.raises(ValueError, match=message):
        order.next(draw({**table, "fraction": 0.5}), eager=True)
    with pytest.raises(ValueError, match=r"selection\.select_every=2"):
        order.next(draw({**table, "select_every": 2}), eager=True)
    stretched = {"fraction": 0.1, "select_every": 2, "align": "progress"}
    assert order.next(draw(stretched), eager=True) is not None
    other = TrialOrder(crossing(seed_configs=[{"history": "elsewhere", "selection": table}]))
    other.next(draw(table), eager=True)
    assert other.next(draw({**table, "fraction": 0.5}), eager=True) is not None


def test_a_search_that_has_found_enough_draws_no_more_and_finishes_what_it_drew() -> None:
    order = TrialOrder(crossing(seed_configs=[], replay_arms=()))
    (first,) = [order.next(drawing(9), eager=True) for _ in range(1)]
    assert first is not None
    order.closed = True
    rest = hand_out(order, points=9)
    assert [job.point for job in [first, *rest]] == [0] * 4  # two arms with two seeds each
    with pytest.raises(Exhausted):
        order.next(drawing(9), eager=True)


def test_totals_count_the_seeds_and_every_arm_and_seed_of_every_point() -> None:
    order = TrialOrder(crossing())
    assert order.total(3) == 1 + 3 * 2 * 2
    assert order.total(0) == 1
    largest = (sys.maxsize - 1) // 4
    assert order.total(-1) == sys.maxsize
    assert order.total(largest - 1) == 1 + 4 * (largest - 1)
    assert order.total(largest + 1) == sys.maxsize


def test_reports_of_a_seed_say_what_is_complete_and_no_others_do() -> None:
    order = TrialOrder(crossing(arms=("cached",)))
    hand_out(order, points=2)
    order.note_result("a stranger", COMPLETE)
    order.note_end("a stranger", COMPLETE, error=False)
    assert hand_out(order, points=2) == []
    order.note_end(seed_id(order), COMPLETE, error=True)  # it failed, whatever it said last
    assert [job.is_replay for job in hand_out(order, points=2)] == [True], "to end the run"
    order.note_result(seed_id(order), COMPLETE)  # tried again
    order.note_result(seed_id(order), {"history_published": 9})
    assert len(hand_out(order, points=2)) == 3


def test_an_older_state_knows_no_shared_trainings() -> None:
    order = TrialOrder(crossing())
    state = {key: value for key, value in order.__dict__.items() if key != "_trained"}
    again = object.__new__(TrialOrder)
    again.__setstate__(state)
    assert again._trained == set()
    assert again.total(3) == order.total(3)


def test_a_restored_search_knows_of_no_room_and_of_no_failure() -> None:
    order = TrialOrder(crossing(arms=("cached",)))
    hand_out(order, points=3)
    order.room, order.open = 2, frozenset({"h"})
    order.forget_failures()
    assert hand_out(order, points=3) == []
    order.seed_failed(seed_id(order))
    assert [job.is_replay for job in hand_out(order, points=3)] == [True], "to end the run"
