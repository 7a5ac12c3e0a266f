"""Searchers that learn of nothing: listed configurations, and sampling at a ladder's foot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.search import Searcher

from tune_select.search.fixed_points import FixedPoints
from tune_select.search.ladder.sampled import SampledPoints


def proposals(searcher: Searcher, most: int = 100) -> list[Any]:
    found = []
    while len(found) < most and (point := searcher.suggest("any")) != Searcher.FINISHED:
        found.append(point)
    return found


LISTED: list[dict[str, Any]] = [{"rate": rate} for rate in (0.1, 0.2, 0.3)]


def test_listed_configurations_are_proposed_once_each() -> None:
    searcher = FixedPoints(LISTED)
    assert proposals(searcher) == LISTED
    assert searcher.suggest("more") == Searcher.FINISHED
    assert searcher.configs == LISTED
    assert searcher.configs is not searcher.configs, "nobody else can change them"


def sampled(num_samples: int = 3) -> SampledPoints:
    space = {"rate": tune.uniform(0, 1), "depth": tune.grid_search([1, 2])}
    return SampledPoints(space, num_samples=num_samples, random_state=5)


def test_samples_go_through_each_cell_of_the_grid() -> None:
    searcher = sampled()
    assert searcher.total == 6
    assert searcher.set_search_properties("score", "min", {}) is True
    assert (searcher.metric, searcher.mode) == ("score", "min")
    found = proposals(searcher)
    assert [point["depth"] for point in found] == [1, 2] * 3
    assert len({point["rate"] for point in found}) >= 3
    assert found == proposals(sampled())
    assert sampled(-1).total == -1
    assert len(proposals(sampled(-1), most=50)) == 50


@pytest.mark.parametrize("make", [lambda: FixedPoints(LISTED), sampled], ids=["listed", "sampled"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_restored_one_goes_on_where_it_was(tmp_path: Path, make: Any, before: int) -> None:
    whole, begun, later = proposals(make()), make(), make()
    assert proposals(begun, most=before) == whole[:before]
    begun.save(str(tmp_path / "state"))
    later.restore(str(tmp_path / "state"))
    assert proposals(later) == whole[before:]
