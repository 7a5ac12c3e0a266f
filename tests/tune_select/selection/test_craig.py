from __future__ import annotations

from itertools import combinations

import pytest
import torch

from tune_select.selection import Craig, PerBatch, Selector
from tune_select.selection.coverage import pairwise_distances
from tune_select.testing import SelectorConformance, make_signals


class TestCraig(SelectorConformance):
    def make(self) -> Selector:
        return Craig()


class TestCraigStochasticInBlocks(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return Craig(epsilon=0.1, per_class=False, block_size=7, gradients="outputs")


class TestCraigPerBatch(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return PerBatch(Craig(), batch_size=4)


def gradients(n: int, seed: int) -> tuple[torch.Tensor, Selector]:
    signals = make_signals(n, classes=3, dimension=4, seed=seed)
    with_bias = torch.cat([signals.inputs, torch.ones(n, 1)], 1).double()
    return (signals.output_gradients.double()[:, :, None] * with_bias[:, None, :]).flatten(
        1
    ), Craig()


@pytest.mark.parametrize("seed", range(6))
def test_weights_are_the_sizes_of_the_clusters(seed: int) -> None:
    signals = make_signals(40, seed=seed)
    full, _ = gradients(40, seed)
    signals = make_signals(40, classes=3, dimension=4, seed=seed)
    subset = Craig(per_class=False).select(signals, 8, torch.Generator())
    distances = torch.cdist(full, full[subset.indices])
    nearest = distances.argmin(1)
    expected = torch.bincount(nearest, minlength=8).float() * 8 / 40
    torch.testing.assert_close(subset.weights, expected)


@pytest.mark.parametrize("seed", range(4))
def test_cost_is_near_the_best_of_all_subsets(seed: int) -> None:
    """The exact optimum bounds CRAIG's sum of distances; greedy on medoids comes within 1.5."""
    full, _ = gradients(11, seed)
    signals = make_signals(11, classes=3, dimension=4, seed=seed)
    distances = torch.cdist(full, full)
    subset = Craig(per_class=False).select(signals, 3, torch.Generator())
    mine = float(distances[:, subset.indices].min(1).values.sum())
    best = min(float(distances[:, list(s)].min(1).values.sum()) for s in combinations(range(11), 3))
    assert best - 1e-6 <= mine <= 1.5 * best


def test_lazy_and_stochastic_agree_when_the_sample_is_everything() -> None:
    signals = make_signals(30)
    lazy = Craig(per_class=False).select(signals, 1, torch.Generator())
    drawn = Craig(per_class=False, epsilon=1e-12).select(signals, 1, torch.Generator())
    assert lazy.indices.tolist() == drawn.indices.tolist()


def test_order_of_the_examples_changes_at_most_ties() -> None:
    """Of two examples closest to each other either may stand for both: the cover is as good."""
    full, _ = gradients(60, 0)
    signals = make_signals(60, classes=3, dimension=4, seed=0)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    distances = torch.cdist(full, full)
    one = Craig(per_class=False).select(signals, 12, torch.Generator()).indices
    two = order[Craig(per_class=False).select(signals.take(order), 12, torch.Generator()).indices]
    costs = [float(distances[:, chosen].min(1).values.sum()) for chosen in (one, two)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-4)


def test_blocks_bound_the_matrix() -> None:
    seen = []
    craig = Craig(per_class=False, block_size=16)

    def distances(members: torch.Tensor) -> torch.Tensor:
        seen.append(len(members))
        points = members[:, None].double()
        return torch.cdist(points, points)

    chosen, sizes = craig.coverage.choose(
        torch.zeros(100, dtype=torch.int64), 20, distances, torch.Generator().manual_seed(0)
    )
    assert max(seen) <= 16
    assert len(set(chosen.tolist())) == 20
    assert float(sizes.sum()) == pytest.approx(100)


def test_a_budget_below_the_number_of_blocks_still_counts_every_example() -> None:
    craig = Craig(per_class=False, block_size=4)
    chosen, sizes = craig.coverage.choose(
        torch.zeros(100, dtype=torch.int64),
        3,
        lambda members: torch.cdist(members[:, None].double(), members[:, None].double()),
        torch.Generator().manual_seed(0),
    )
    assert len(set(chosen.tolist())) == 3
    assert float(sizes.sum()) == pytest.approx(100)


def test_scale_of_the_gradients_does_not_matter() -> None:
    signals = make_signals(40)
    tiny = make_signals(40)
    tiny.output_gradients.mul_(2.0**-80)
    first = Craig().select(signals, 10, torch.Generator())
    second = Craig().select(tiny, 10, torch.Generator())
    assert first.indices.tolist() == second.indices.tolist()


def test_pairwise_distances_match_cdist() -> None:
    points = torch.randn(20, 6, dtype=torch.float64)
    torch.testing.assert_close(pairwise_distances(points @ points.T), torch.cdist(points, points))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 1.0}, "epsilon"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"block_size": 1}, "block_size"),
        ({"gradients": "class"}, "gradients"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Craig(**settings)  # type: ignore[arg-type]


def test_budget_below_the_number_of_classes() -> None:
    with pytest.raises(ValueError, match="at least one example per class"):
        Craig().select(make_signals(30), 2, torch.Generator())
