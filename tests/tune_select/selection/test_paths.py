"""One selection for all rungs of a ladder: what it costs, and how good the smaller subsets are."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch

from tune_select.selection import Craig, EarlyStopWarning, GradMatch, PerBatch, Random, Selector
from tune_select.selection.facility_location import greedy_facility_location
from tune_select.selection.pursuit.dictionaries import Dictionary
from tune_select.testing import make_signals

BUDGETS = [18, 60, 180]
SELECTORS = [
    GradMatch(),
    GradMatch(gradients="layer", per_class=False),
    PerBatch(GradMatch(), batch_size=5),
    Craig(),
    Craig(block_size=100),
]


@pytest.fixture(autouse=True)
def _early_stops_are_allowed() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EarlyStopWarning)
        yield


@pytest.mark.parametrize("selector", SELECTORS, ids=repr)
def test_errors_at_smaller_budgets_are_those_of_separate_solves(selector: Selector) -> None:
    ratios = []
    for seed in range(4):
        signals = make_signals(600, dimension=20, seed=seed)
        path = selector.select_path(signals, BUDGETS, torch.Generator().manual_seed(seed))
        for subset, budget in zip(path, BUDGETS, strict=True):
            alone = selector.select(signals, budget, torch.Generator().manual_seed(seed))
            assert subset.gradient_error is not None
            assert alone.gradient_error is not None
            ratios.append(subset.gradient_error / alone.gradient_error)
    assert sum(ratios) / len(ratios) <= 1.05


def counted(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> int:
    """Searches for the next atom that a pursuit makes meanwhile: nearly all that it costs."""
    searches = 0
    search = Dictionary.most_correlated

    def count(self: Dictionary, excluded: torch.Tensor) -> tuple[int, float]:
        nonlocal searches
        searches += 1
        return search(self, excluded)

    with monkeypatch.context() as patch:
        patch.setattr(Dictionary, "most_correlated", count)
        act()
    return searches


@pytest.mark.parametrize("selector", SELECTORS[:3], ids=repr)
def test_a_path_costs_what_its_largest_budget_does(
    selector: Selector, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = make_signals(600, dimension=20)
    alone = counted(monkeypatch, lambda: selector.select(signals, 180, torch.Generator()))
    path = counted(monkeypatch, lambda: selector.select_path(signals, BUDGETS, torch.Generator()))
    assert alone <= path <= 1.05 * alone


def test_craigs_greedy_run_is_the_largest_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def count(similarity: torch.Tensor, budget: int) -> torch.Tensor:
        asked.append(budget)
        return greedy_facility_location(similarity, budget)

    monkeypatch.setattr("tune_select.selection.coverage.greedy_facility_location", count)
    Craig().select_path(make_signals(600), BUDGETS, torch.Generator())
    assert asked == [60, 60, 60]  # three classes


@pytest.mark.parametrize("selector", [Random(), Craig()], ids=repr)
def test_subsets_of_a_path_lie_in_each_other(selector: Selector) -> None:
    path = selector.select_path(make_signals(600), BUDGETS, torch.Generator())
    smaller, middle, larger = (set(subset.indices.tolist()) for subset in path)
    assert smaller < middle < larger
