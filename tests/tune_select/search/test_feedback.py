from __future__ import annotations

import math

from tune_select.search.feedback import Feedback


def test_one_seed_is_told_as_it_reports() -> None:
    feedback = Feedback(seeds=1)
    feedback.expect("a", 3)
    assert feedback.point_of("a") == 3
    assert feedback.result("a", {"epoch": 1, "score": 0.5}, ["score"]) == {
        "epoch": 1,
        "score": 0.5,
    }
    assert feedback.end("a", {"epoch": 2, "score": 0.7}, ["score"]) == (
        3,
        {"epoch": 2, "score": 0.7},
    )
    assert feedback.point_of("a") is None


def test_several_seeds_are_told_as_their_mean_once_all_are_there() -> None:
    feedback = Feedback(seeds=3)
    for trial in "abc":
        feedback.expect(trial, 0)
    assert feedback.result("a", {"epoch": 1, "score": 1.0}, ["score"]) is None
    assert feedback.result("a", {"epoch": 2, "score": 2.0}, ["score"]) is None
    assert feedback.result("b", {"epoch": 1, "score": 2.0}, ["score"]) is None
    told = feedback.result("c", {"epoch": 1, "score": 6.0}, ["score"])
    assert told is not None
    assert told["score"] == 3.0
    assert feedback.end("a", {"score": 1.0}, ["score"]) is None
    assert feedback.end("b", None, ["score"]) is None
    ended = feedback.end("c", {"score": 2.0}, ["score"])
    assert ended is not None
    assert ended[1] is not None
    assert ended[1]["score"] == 1.5


def test_what_is_not_training_or_not_new_is_not_told() -> None:
    feedback = Feedback(seeds=1)
    feedback.expect("a", 0)
    report = {"epoch": 2, "score": 0.5}
    assert feedback.result("a", report, ["score"]) is not None
    assert feedback.result("a", report, ["score"]) is None
    assert feedback.result("a", {"epoch": 1, "score": 0.1}, ["score"]) is None
    assert (
        feedback.result("a", {**report, "epoch": 3, "waiting_for_interval": 1}, ["score"]) is None
    )
    assert feedback.result("a", {"epoch": 4}, ["score"]) is None
    assert feedback.result("stranger", report, ["score"]) is None
    assert feedback.end("stranger", report, ["score"]) is None


def test_a_trial_that_ends_between_two_evaluations_is_known_by_the_last() -> None:
    feedback = Feedback(seeds=1)
    feedback.expect("a", 0)
    feedback.result("a", {"epoch": 4, "score": 0.5}, ["score"])
    assert feedback.end("a", {"epoch": 6}, ["score"]) == (0, {"epoch": 4, "score": 0.5})
    feedback.expect("b", 1)
    feedback.result("b", {"epoch": 4, "score": 0.5}, ["score"])
    assert feedback.end("b", None, ["score"]) == (1, None)  # it failed


def test_a_point_whose_trials_all_fail_is_told_so_once() -> None:
    feedback = Feedback(seeds=2)
    feedback.expect("a", 5)
    feedback.expect("b", 5)
    assert feedback.end("a", None, ["score"]) is None
    assert feedback.end("b", None, ["score"]) == (5, None)
    assert feedback.end("b", {"score": 1.0}, ["score"]) is None


def test_a_nan_stays_one() -> None:
    feedback = Feedback(seeds=2)
    feedback.expect("a", 0)
    feedback.expect("b", 0)
    feedback.end("a", {"score": math.nan}, ["score"])
    ended = feedback.end("b", {"score": 1.0}, ["score"])
    assert ended is not None
    assert ended[1] is not None
    assert math.isnan(ended[1]["score"])
