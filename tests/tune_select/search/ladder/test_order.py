"""A ladder's trials as they are handed out, over several training seeds and with replays."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.arms import Arm
from tune_select.search.crossing import Crossing
from tune_select.search.ladder import LadderOrder, Rules, Rung, Score, check_rungs
from tune_select.search.trial_order import Exhausted

ARMS = [Rung(fraction=0.1).arm("random", {}, 12), Rung(fraction=0.3).arm("random", {}, 12)]


def order_of(
    rules: Rules, seeds: tuple[int, ...] = (0,), arms: list[Arm] | None = None, **crossing: Any
) -> LadderOrder:
    rungs = (*(ARMS if arms is None else arms), Arm.of("full"))
    return LadderOrder(
        Crossing(
            seed_configs=crossing.pop("seed_configs", ()), arms=rungs, seeds=seeds, **crossing
        ),
        rungs=rungs,
        rules=rules,
        measure=lambda report: Score(report["accuracy"], 1 - report["accuracy"]),
    )


def run(order: LadderOrder, points: int, slots: int, seed: int) -> list[dict[str, Any]]:
    """Hand out and finish trials in any order; returns the configurations as handed out."""
    draws = random.Random(seed)
    values = [draws.random() for _ in range(points)]
    handed: list[dict[str, Any]] = []
    running: list[str] = []

    def draw(drawn: int) -> Mapping[str, Any]:
        if drawn == points:
            raise Exhausted
        return {"learning_rate": values[drawn], "selection": {"fraction": 0.5}}

    while True:
        try:
            while len(running) < slots:
                job = order.next(draw, eager=True)
                if job is None:
                    assert running, "nothing runs and nothing may start"
                    break
                trial = f"trial_{len(handed)}"
                handed.append({**job.config, "trial_id": trial})
                order.handed_out(trial, job)
                running.append(trial)
        except Exhausted:
            assert not running, "a trial that runs may still let others go up"
            return handed
        ended = running.pop(draws.randrange(len(running)))
        config = next(c for c in handed if c["trial_id"] == ended)
        if draws.random() < 0.1:
            order.note_end(ended, None, error=True)
        else:
            order.note_end(ended, {"accuracy": config["learning_rate"]}, error=False)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 4), st.integers(0, 99), st.integers(1, 3), st.booleans())
def test_every_rung_trains_its_points_once_with_every_seed(
    points: int, slots: int, seed: int, seeds: int, asynchronous: bool
) -> None:
    order = order_of(Rules(3, asynchronous=asynchronous), tuple(range(seeds)))
    handed = run(order, points, slots, seed)
    trained = Counter((c["configuration"], c["rung"], c["seed"]) for c in handed)
    assert set(trained.values()) == {1}
    at = {(c["configuration"], c["rung"], c["seed"]): c["trial_id"] for c in handed}
    by_id = {c["trial_id"]: c for c in handed}
    assert len({number for number, rung, _ in at if rung == 0}) == points
    for config in handed:
        below = (config["configuration"], config["rung"] - 1, config["seed"])
        assert config["promoted_from"] == at.get(below, "")
        assert (config["promoted_from"] == "") == (config["rung"] == 0)
        assert config["strategy"] == "ladder"
        same = by_id.get(config["promoted_from"], config)
        assert same["learning_rate"] == config["learning_rate"]
        assert config["arm"] == config["rung_name"] == ["10%", "30%", "full"][config["rung"]]
        fraction = [0.1, 0.3, 0.5][config["rung"]]
        assert config["selection"]["fraction"] == fraction  # the rung's; the point's own at the top


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 99), st.integers(1, 3))
def test_a_warm_ladder_begins_with_what_the_same_training_seed_left_below(
    points: int, seed: int, seeds: int
) -> None:
    order = order_of(Rules(3, keep=2, warm=True), tuple(range(seeds)))
    failed: set[str] = set()
    note_end = order.note_end

    def noted(trial: str, result: Mapping[str, Any] | None, *, error: bool) -> None:
        failed.update({trial} if error else ())
        note_end(trial, result, error=error)

    order.note_end = noted  # type: ignore[method-assign]
    for config in run(order, points, slots=2, seed=seed):
        below = config["promoted_from"]
        assert config["start_from"] == ("" if below in failed else below)
        assert config["leave_weights"] == (config["rung"] < 2)


def test_a_full_training_that_begins_early_comes_after_what_decides_the_next() -> None:
    """Two of four go up; once the second is on its way, the first will be confirmed whatever it is.

    On one slot nothing is early, on two the full training runs beside the rung's last one.
    """
    order = order_of(Rules(3, keep=2, confirm=2))
    values = [0.9, 0.5, 0.1, 0.7]

    def draw(drawn: int) -> Mapping[str, Any]:
        if drawn == len(values):
            raise Exhausted
        return {"learning_rate": values[drawn]}

    def ends(*trials: tuple[float, int]) -> None:
        for value, rung in trials:
            order.note_end(f"{value} at {rung}", {"accuracy": value}, error=False)

    def hands_out() -> tuple[float, int] | None:
        job = order.next(draw, eager=True)
        if job is None:
            return None
        found = job.config["learning_rate"], job.config["rung"]
        order.handed_out(f"{found[0]} at {found[1]}", job)
        return found

    assert [hands_out() for _ in range(2)] == [(0.9, 0), (0.5, 0)]
    ends((0.9, 0), (0.5, 0))
    assert [hands_out() for _ in range(3)] == [(0.9, 1), (0.1, 0), (0.7, 0)]
    ends((0.9, 1), (0.1, 0))
    assert hands_out() is None  # 0.7 may be anybody's better, or nobody's
    ends((0.7, 0))
    assert [hands_out() for _ in range(3)] == [(0.7, 1), (0.9, 2), None]
    ends((0.7, 1))
    assert hands_out() == (0.7, 2)


def test_a_cold_ladder_says_nothing_of_weights() -> None:
    handed = run(order_of(Rules(3)), 6, slots=2, seed=0)
    assert not [key for config in handed for key in config if "weights" in key or "start" in key]


def order_of_replays() -> LadderOrder:
    """One rung that replays a seed, and full training."""
    return order_of(
        Rules(2), arms=[Rung(fraction=0.1).arm("cached", {}, 12)], replay_arms=("10%",),
        history_of=lambda config: "seed", seed_configs=[{"learning_rate": 0.5}],
    )  # fmt: skip


def draw(drawn: int) -> Mapping[str, Any]:
    return {"learning_rate": 0.1 * drawn}


def test_a_ladder_of_replays_waits_for_its_seed() -> None:
    order = order_of_replays()
    job = order.next(draw, eager=True)
    assert job is not None
    assert job.is_seed
    order.handed_out("seed", job)
    assert order.next(draw, eager=True) is None
    order.note_result("seed", {"history_complete": True})
    replay = order.next(draw, eager=True)
    assert replay is not None
    assert replay.is_replay
    assert replay.config["rung"] == 0


def test_a_ladder_whose_seed_failed_hands_out_one_replay_so_that_the_run_is_ended() -> None:
    order = order_of_replays()
    seed = order.next(draw, eager=True)
    assert seed is not None
    assert seed.config == {
        "learning_rate": 0.5, "arm": "seed", "seed": 0, "configuration": 0,
        "strategy": "ladder", "rung": -1, "rung_name": "seed",
    }  # fmt: skip
    order.handed_out("seed", seed)
    assert order.next(draw, eager=True) is None
    order.note_end("seed", None, error=True)
    held = order.next(draw, eager=True)
    assert held is not None
    assert held.is_replay


def test_a_configuration_goes_by_the_mean_of_its_training_seeds_that_left_something() -> None:
    order = order_of(Rules(3, keep=2), seeds=(0, 1, 2))
    jobs = order.cross({"learning_rate": 0.1})
    for job, accuracy in zip(jobs, (0.5, float("nan"), 0.75), strict=True):
        order.handed_out(f"t{job.config['seed']}", job)
        assert not order.climb.scores[0]
        order.note_end(f"t{job.config['seed']}", {"accuracy": accuracy}, error=False)
    assert order.climb.scores[0] == {0: Score(0.625, 0.375)}
    for job in order.cross({"learning_rate": 0.2}):
        order.handed_out(f"u{job.config['seed']}", job)
        order.note_end(f"u{job.config['seed']}", {"accuracy": 0.9}, error=True)
    assert order.climb.scores[0][1].failed, (
        "what a trial that failed reported before counts for none"
    )
    order.note_end("a stranger", {"accuracy": 1.0}, error=False)
    assert len(order.climb.scores[0]) == 2


def test_rungs_by_hand() -> None:
    third = Rung(fraction=0.03).arm("random_pb", {"eval_every": 12}, 12)
    assert (third.name, third.kind, third.selector) == ("3%", "selector", "random_pb")
    assert third.on({"eval_every": 1})["eval_every"] == 12
    short = Rung(epochs=2).arm("random_pb", {"warmup_epochs": 3.0}, 12)
    assert (short.name, short.kind) == ("2 epochs", "full")
    assert short.training == {"max_epochs": 2, "warmup_epochs": 0.5}
    # A rung with a fraction has full training's schedule: also where the space searches warm-ups.
    long = Rung(fraction=0.03).arm("random_pb", {"warmup_epochs": 3.0}, 12)
    assert long.on({"warmup_epochs": 5.0})["warmup_epochs"] == 5.0
    assert Rung(epochs=1).name == "1 epoch"
    assert Rung(fraction=0.125).name == "12.5%"


@pytest.mark.parametrize(
    ("rungs", "named"),
    [
        ([Rung(fraction=0.3), Rung(fraction=0.1)], "10% follows 30%"),
        ([Rung(fraction=0.1), Rung(fraction=0.1)], "10% follows 10%"),
        ([Rung(fraction=0.5), Rung(epochs=3)], "3 epochs follows 50%"),
        ([Rung(epochs=1), Rung(epochs=12)], "12 epochs is not below full training.*1 to 11"),
        ([], "at least one rung"),
    ],
)
def test_rungs_that_do_not_grow_are_named(rungs: list[Rung], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        check_rungs(rungs, 12)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({}, "either a fraction or epochs"), ({"fraction": 0.1, "epochs": 1}, "either"),
     ({"fraction": 1.0}, "top rung by itself"), ({"epochs": 0}, "at least 1"),
     ({"fraction": 30.0}, "write 30% as 0.3"), ({"fraction": 100.0}, "top rung by itself")],
)  # fmt: skip
def test_bad_rungs_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Rung(**wrong)


def test_shares_of_rungs_by_hand() -> None:
    assert Rung(epochs=3).share(12) == 0.25
    assert Rung(fraction=0.25).share(12) == 0.25
    assert Rung(fraction=0.25).share(12, 4) == pytest.approx((4 + 0.25 * 8) / 12)
    assert Rung(fraction=0.25).share(12, 4, epochs=6) == pytest.approx((4 + 0.25 * 2) / 12)
    assert Rung(fraction=0.25).share(12, 4, epochs=3) == pytest.approx(4 / 12)


def test_points_that_are_proposed_again_have_numbers_of_their_own() -> None:
    order = order_of(Rules(3), seed_configs=[{"x": 7, "history": "h"}])
    points = ({"x": x, "history": "h"} for x in (7, 7, 7, 1, 2, 7, 3))
    numbers = [order.cross(point)[0].number for point in points]
    assert numbers[0] == 0, "the seed's own"
    assert len(set(numbers)) == len(numbers)
    assert [order.drawing_of(number) for number in numbers] == list(range(7))


def test_a_ladder_counts_its_seeds_and_every_rung() -> None:
    seeds = [{"learning_rate": 0.5, "history": "h"}]
    order = order_of(Rules(3, keep=3), seeds=(0, 1), seed_configs=seeds)
    assert order.total(9) == 1 + 2 * (9 + 3 + 2)
