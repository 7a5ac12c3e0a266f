"""What a search around any trainable gives back; that it runs is shown in tests/examples."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.analysis.results.test_ray_folder import write_tuner_folder
from tests.tune_select.loops.digits import draws, sampler_for
from tune_select.tuning import SeededResults


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
    from ray import tune

    from tune_select import seeded_tuner
    from tune_select.search.ladder import Rules

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
