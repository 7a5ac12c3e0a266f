from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tune_select.selection import REPLAY_NAMES, ReplayTransform, Subset, replay_named
from tune_select.selection.replays.mixing import Growing, Mixed
from tune_select.selection.replays.reweighting import Clipped, Tempered
from tune_select.selection.weighting import capped_shares

quick = settings(max_examples=60, deadline=None, derandomize=True)


def recorded(size: int, seed: int = 0, *, batch: int | None = None, n: int = 100) -> Subset:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(size, generator=generator) + 0.1
    indices = torch.randperm(n, generator=generator)[:size]
    batches = None if batch is None else (3 * (torch.arange(size) // batch)).int()
    return Subset(indices, weights / weights.mean(), batches)


def run(transform: ReplayTransform, subset: Subset, seed: int = 0, **more: Any) -> Subset:
    return transform.apply(subset, 100, torch.Generator().manual_seed(seed), **more)


@quick
@given(
    name=st.sampled_from(REPLAY_NAMES),
    size=st.integers(1, 100),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    batch=st.sampled_from([None, 7]),
    progress=st.sampled_from([0.0, 0.4, 0.9]),
    seed=st.integers(0, 1000),
)
def test_subsets_stay_well_formed_and_repeat(
    name: str, size: int, share: float, batch: int | None, progress: float, seed: int
) -> None:
    subset = recorded(size, seed, batch=batch)
    transform = replay_named(name, random_share=share)
    found = run(transform, subset, seed, progress=progress)
    again = run(transform, subset, seed, progress=progress)
    assert torch.equal(found.indices, again.indices)
    assert torch.equal(found.weights, again.weights)
    assert len(set(found.indices.tolist())) == len(found)
    assert found.weights.dtype == torch.float32
    assert float(found.weights.min()) >= 0.0
    assert float(found.weights.mean()) == pytest.approx(1.0, abs=1e-4)
    assert (found.batches is None) == (batch is None)
    if found.batches is not None:
        assert found.batches.dtype == torch.int32
        assert found.batches.shape == found.indices.shape
        assert int(torch.bincount(found.batches).max()) <= 7


@pytest.mark.parametrize("batch", [None, 5])
def test_plain_replay_changes_nothing(batch: int | None) -> None:
    subset = recorded(20, batch=batch)
    for transform in (replay_named("cached"), Tempered(exponent=1.0), Mixed(random_share=0.0)):
        found = run(transform, subset)
        assert torch.equal(found.indices, subset.indices)
        torch.testing.assert_close(found.weights, subset.weights)


def test_tempering_goes_from_recorded_to_equal() -> None:
    subset = recorded(20)
    assert run(Tempered(exponent=0.0), subset).weights.tolist() == pytest.approx([1.0] * 20)
    half = run(Tempered(exponent=0.5), subset).weights
    torch.testing.assert_close(half, subset.weights.sqrt() / subset.weights.sqrt().mean())


def test_clipping_bounds_the_largest_weight() -> None:
    weights = torch.tensor([10.0, 6.0, 1.0, 1.0, 1.0, 1.0])
    subset = Subset(torch.arange(6), weights / weights.mean())
    found = run(Clipped(largest=2.0), subset).weights
    assert found.tolist() == pytest.approx([2.0, 2.0, 0.5, 0.5, 0.5, 0.5])
    assert run(Clipped(largest=1.0), subset).weights.tolist() == pytest.approx([1.0] * 6)


@quick
@given(
    scores=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=30).filter(any),
    part=st.floats(0.0, 1.0),
)
@example(scores=[1.0, 2e-323, 5e-323], part=0.5)
def test_capped_shares(scores: list[float], part: float) -> None:
    values = torch.tensor(scores, dtype=torch.float64)
    positive = int((values > 0).sum())
    total = 1 + round(part * (positive - 1))
    shares = capped_shares(values, total, 1.0)
    assert float(shares.sum()) == pytest.approx(total)
    assert float(shares.max()) <= 1.0 + 1e-9
    free = (shares < 1.0 - 1e-9) & (values > 1e-6)
    ratios = shares[free] / values[free]
    if len(ratios):
        assert float(ratios.max()) == pytest.approx(float(ratios.min()), rel=1e-6)


@pytest.mark.parametrize("batch", [None, 5])
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_mixture_is_unbiased(share: float, batch: int | None) -> None:
    """Over the draws: (1 - share) of the recorded mean and share of the mean of all."""
    values = torch.randn(100, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    subset = Subset(torch.arange(20), torch.ones(20), recorded(20, batch=batch).batches)
    means = torch.tensor(
        [
            float(values[found.indices] @ found.weights.double() / found.weights.double().sum())
            for found in (run(Mixed(random_share=share), subset, seed) for seed in range(3000))
        ]
    )
    expected = (1 - share) * float(values[:20].mean()) + share * float(values.mean())
    error = float(means.std()) / 3000**0.5
    assert abs(float(means.mean()) - expected) < 4.0 * error
    assert error < 0.01


def test_a_mixture_keeps_its_size_and_share() -> None:
    subset = recorded(20)
    found = run(Mixed(random_share=0.25), subset)
    assert len(found) == 20
    assert len(set(found.indices.tolist()) & set(subset.indices.tolist())) == 15


def overlap(found: Subset, other: Tensor) -> int:
    return len(set(found.indices.tolist()) & set(other.tolist()))


def test_growth_from_part_of_the_record_to_more_than_it() -> None:
    subset = recorded(20)
    growing = Growing(first=0.5, last=1.5)
    sizes = [len(run(growing, subset, progress=p)) for p in (0.0, 0.25, 0.5, 0.75)]
    assert sizes == [10, 15, 20, 25]
    assert overlap(run(growing, subset, progress=0.0), subset.indices) == 10
    assert overlap(run(growing, subset, progress=0.75), subset.indices) == 20
    assert len(run(Growing(first=1.0, last=9.0), subset, progress=0.9)) == 100


def test_settings_reach_the_transforms() -> None:
    transform = replay_named("cached_mixed", random_share=0.25, exponent=0.5, largest=4.0)
    expected = {"random_share": 0.25, "exponent": 0.5, "largest": 4.0}
    assert transform.settings() == expected
    assert json.loads(json.dumps(transform.settings())) == expected
    assert replay_named("cached").settings() == {}
    assert replay_named("cached_growing").settings() == {"first": 0.5, "last": 1.5}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cached_best", {}, "did you mean cached?"),
        (
            "cached",
            {"share": 0.5},
            "share=0.5 of cached; did you mean random_share",
        ),
        ("cached", {"random_share": 1.5}, "random_share"),
        ("cached", {"exponent": -1.0}, "exponent"),
        ("cached", {"largest": 0.5}, "largest"),
        ("cached", {"last": 0.0}, "last"),
    ],
)
def test_bad_settings(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replay_named(name, **arguments)
