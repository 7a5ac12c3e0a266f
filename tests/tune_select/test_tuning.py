"""What a search around any trainable gives back; that it runs is shown in tests/examples."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray import tune

from tests.analysis.results.test_ray_folder import write_tuner_folder
from tests.tune_select.loops.digits import draws, sampler_for
from tune_select.search.ladder import Rules
from tune_select.tuning import SeededResults, SeededTuner, seeded_tuner


def trial(arm: str, rate: float, final: float, number: int) -> dict[str, Any]:
    config = {"arm": arm, "lr": rate, "max_epochs": 6, "configuration": number, "seed": 0}
    reports = [{"epoch": e, "score": final * e / 6, "subset_size": 24} for e in range(1, 7)]
    return {"config": config, "reports": reports}


def results_in(folder: Path) -> SeededResults:
    trials = [
        trial("seed", 0.1, 0.6, 0), trial("cached", 0.1, 0.7, 0), trial("cached", 0.3, 0.8, 1),
        trial("full", 0.1, 0.9, 0), trial("full", 0.3, 0.95, 1),
    ]  # fmt: skip
    write_tuner_folder(folder, trials)
    draws(sampler_for("seed", folder / "history" / "seed"))
    grid: list[Any] = [
        SimpleNamespace(config=one["config"], metrics=one["reports"][-1], error=None)
        for one in trials
    ]
    grid[3].metrics = {"score": float("nan")}
    return SeededResults(grid, str(folder), "score", "max", "cached")  # type: ignore[arg-type]


def tuner(**given: Any) -> SeededTuner:
    plain: dict[str, Any] = {"space": {"lr": tune.grid_search([0.1, 0.2])}, "metric": "score"}
    trainable = given.pop("trainable", lambda config: None)
    return seeded_tuner(trainable, **{**plain, "seed_config": {"lr": 0.1}, **given})


def test_the_folder_of_a_search_becomes_a_report(tmp_path: Path) -> None:
    results = results_in(tmp_path / "mine")
    report = results.report()
    assert report == tmp_path / "mine" / "report.html"
    text = report.read_text()
    assert "score" in text
    assert "cached" in text


def test_the_best_is_the_first_arms_and_finite(tmp_path: Path) -> None:
    results = results_in(tmp_path / "mine")
    assert results.best().config["lr"] == 0.3
    assert results.best("full").config["lr"] == 0.3


def test_arms_are_the_rungs_of_a_ladder_where_one_is_given() -> None:
    arms = {"tenth": {"selector": "random", "fraction": 0.1}, "full": {"selector": "full"}}
    given: dict[str, Any] = {"space": {"lr": tune.grid_search([0.1, 0.2]), "max_epochs": 2},
                             "arms": arms, "metric": "score"}  # fmt: skip
    tuner = seeded_tuner(print, ladder=Rules(2), **given)
    search, space = tuner._search(None)
    assert space["max_epochs"] == 2
    search.searcher.set_search_properties("score", "max", {})
    assert search.searcher.suggest("a")["arm"] == "tenth"
    with pytest.raises(ValueError, match="rules are for 3 rungs, but there are 2"):
        seeded_tuner(print, ladder=Rules(3), **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trainable": None}, "trainable must be .*, got None"),
        ({"searcher": "optuna"}, "searcher must be a searcher of Tune's.*, got 'optuna'"),
        ({"scheduler": "asha"}, "scheduler must be a scheduler of Tune's.*, got 'asha'"),
        ({"seeds": 3}, "seeds must be a list of integers of at least 0, got 3"),
        ({"seeds": [0, -1]}, r"seeds must be .*, got \(0, -1\)"),
        ({"seeds": "01"}, "seeds must be a list of integers"),
        ({"name": "a/b"}, "name must be the name of one folder"),
        ({"name": ""}, "name must be the name of one folder"),
        ({"num_samples": 0}, "num_samples must be at least 1"),
        ({"num_samples": 2.0}, "num_samples must be an integer"),
        ({"max_concurrent": 0}, "max_concurrent must be an integer of at least 1, got 0"),
        ({"stream": "yes"}, "stream must be one of auto, True, False, got 'yes'"),
        ({"time_budget_s": "2h"}, "time_budget_s must be a number of seconds above 0, got '2h'"),
        ({"time_budget_s": timedelta(0)}, "time_budget_s must be"),
        ({"resources": {"gpus": 1}}, r"resources\.gpus=1 .*did you mean gpu"),
        ({"resources": {"cpu": -1}}, "cpu must be a non-negative number"),
        ({"resources": {"cpu": 1e6}}, "more than this machine's Ray has"),
        ({"storage_path": "/proc/x"}, "storage_path is /proc/x, which cannot be written"),
        (
            {"space": {"lr": [0.1, 0.2]}},
            r"constant to Tune, .* tune\.grid_search\(\[0\.1, 0",
        ),
        ({"seed_config": {"lr": tune.uniform(0, 1)}}, r"one value of each key, and \['lr'\]"),
    ],
)
def test_what_tune_would_meet_late_is_refused_at_once(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tuner(**given)


def test_numbers_of_numpys_and_times_are_what_they_stand_for() -> None:
    made = tuner(seeds=np.arange(2), time_budget_s=timedelta(hours=1), num_samples=np.int64(3))
    assert made.seeds == (0, 1)
    assert type(made.seeds[0]) is int
    assert tuner(resources={"CPU": 1}).resources == {"cpu": 1.0}


def test_a_list_that_is_one_value_is_left_alone() -> None:
    space = {"lr": tune.grid_search([0.1, 0.2]), "hidden": [16, 64]}
    assert tuner(space=space, seed_config={"lr": 0.1, "hidden": [8, 8]})
    assert tuner(space=space, seed_config={"lr": 0.1, "hidden": None})
