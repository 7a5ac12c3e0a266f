"""What a search will meet, before anything is drawn: its size and its points."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from tune_select.search.fixed_points import FixedPoints
from tune_select.search.foreseen import DRAWN, MOST, branches, foreseen
from tune_select.search.size import MOST_TRIALS, check_size


def test_every_listed_value_and_both_ends_of_every_range_are_foreseen() -> None:
    space = {
        "a": tune.grid_search([1, 2]),
        "deep": {"b": tune.uniform(0.5, 2.0), "c": tune.randint(3, 9)},
        "d": tune.qrandint(2, 8, 2),
        "e": tune.choice(["x", "y"]),
        "f": tune.randn(),  # without ends
        "g": 7,
    }
    found = list(foreseen(space, None))
    assert {p["a"] for p in found} == {1, 2}
    assert {p["deep"]["b"] for p in found} == {0.5, 2.0}
    assert {p["deep"]["c"] for p in found} == {3, 8}, "the end of integers is not drawn"
    assert {p["d"] for p in found} == {2, 8}, "of steps it is"
    assert {p["e"] for p in found} == {"x", "y"}
    assert {p["g"] for p in found} == {7}
    assert len(found) == 1 + 5 * 1, "one axis after the other"


def test_of_a_long_list_as_many_as_there_is_time_for_are_foreseen() -> None:
    found = list(foreseen({"a": tune.grid_search(list(range(3 * MOST)))}, None))
    assert len(found) == MOST
    assert (found[0]["a"], found[-1]["a"]) == (0, 3 * MOST - 1)


def test_given_points_are_foreseen_with_the_constants_of_their_space() -> None:
    found = list(foreseen({"b": {"d": 4}}, FixedPoints([{"a": 1}, {"b": {"c": 2}}])))
    assert found == [{"b": {"d": 4}, "a": 1}, {"b": {"d": 4, "c": 2}}]


def test_what_an_optuna_space_suggests_is_drawn_the_same_each_time() -> None:
    heard: list[int] = []

    def by_run(trial: Any) -> dict[str, Any]:
        heard.append(optuna.logging.get_verbosity())
        trial.suggest_float("model/rate", 0.0, 1.0)
        return {"epochs": 3}

    before = optuna.logging.get_verbosity()
    found = list(branches(by_run))
    assert set(heard) == {optuna.logging.WARNING}, "it tells nothing of studies of our own"
    assert optuna.logging.get_verbosity() == before
    assert len(found) == len({p["model"]["rate"] for p in found}) == DRAWN
    assert found == list(branches(by_run))
    assert {p["epochs"] for p in found} == {3}
    by_run_too = OptunaSearch(space=by_run, metric="m", mode="max")
    assert list(foreseen({"epochs": 9, "g": 7}, by_run_too)) == [{**p, "g": 7} for p in found]
    own = {"model/depth": optuna.distributions.IntDistribution(1, 3)}
    points = list(foreseen({"g": 7}, OptunaSearch(space=own, metric="m", mode="max")))
    assert len(points) == DRAWN
    assert {p["model"]["depth"] for p in points} == {1, 2, 3}
    assert {p["g"] for p in points} == {7}
    with pytest.raises(ValueError, match="space raised ZeroDivisionError at {}: division"):
        list(branches(lambda trial: 1 / 0))  # type: ignore[arg-type, return-value]


def test_a_search_may_have_as_many_trials_as_can_be_run() -> None:
    check_size(MOST_TRIALS // 8, 2, 2, 2, [])
    check_size(1, 1, 1, 1, [range(100), range(MOST_TRIALS // 100)])
    with pytest.raises(ValueError, match="100,008 trials .12,501 configurations in space, num_s"):
        check_size(MOST_TRIALS // 8 + 1, 2, 2, 2, [])
    with pytest.raises(ValueError, match="seed_by asks for 100,100 seed trials"):
        check_size(1, 1, 1, 1, [range(100), range(MOST_TRIALS // 100 + 1)])
