from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.selection import (
    GradMatch,
    PerBatch,
    Random,
    Selector,
    Signals,
    Subset,
    gradient_error,
    gradient_sum,
)
from tune_select.testing import SelectorConformance, make_signals

quick = settings(max_examples=60, deadline=None, derandomize=True)


class TestPerBatchRandom(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return PerBatch(Random(), batch_size=4)


class TestPerBatchGradMatch(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return PerBatch(GradMatch(), batch_size=4)


class TestPerBatchGradMatchOnValidation(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return PerBatch(GradMatch(match="validation"), batch_size=3)


@quick
@given(n=st.integers(1, 50), size=st.integers(1, 12), data=st.data())
def test_whole_batches_of_one_partition(n: int, size: int, data: st.DataObject) -> None:
    budget = data.draw(st.integers(1, n))
    seed = data.draw(st.integers(0, 1000))
    labels = Signals.labels_only(torch.zeros(n, dtype=torch.int64))
    redeal = data.draw(st.booleans())
    subset = PerBatch(Random(), batch_size=size, redeal=redeal, seed=3).select(
        labels, budget, torch.Generator().manual_seed(seed)
    )
    # Fixed batches are dealt by their own seed, new ones by the generator.
    dealer = torch.Generator().manual_seed(seed if redeal else 3)
    order = torch.randperm(n, generator=dealer)
    dealt = {number: set(batch.tolist()) for number, batch in enumerate(torch.split(order, size))}
    assert subset.batches is not None
    cut = 0
    for number in set(subset.batches.tolist()):
        members = set(subset.indices[subset.batches == number].tolist())
        assert members <= dealt[number]
        cut += members != dealt[number]
    assert len(subset) == budget
    assert cut <= 1


def _batches(selector: PerBatch, signals: Signals, seed: int) -> set[frozenset[int]]:
    subset = selector.select(signals, 20, torch.Generator().manual_seed(seed))
    assert subset.batches is not None
    return {
        frozenset(subset.indices[subset.batches == number].tolist())
        for number in set(subset.batches.tolist())
    }


def test_every_selection_of_a_trial_chooses_among_the_same_batches() -> None:
    signals = make_signals(40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(9))
    dealt = {frozenset(batch.tolist()) for batch in order.split(4)}
    fixed = PerBatch(Random(), batch_size=4, seed=9)
    chosen = [_batches(fixed, signals, seed) for seed in range(5)]
    assert all(batches <= dealt for batches in chosen)
    assert len({frozenset(batches) for batches in chosen}) == 5  # the choice is new each time
    other = PerBatch(Random(), batch_size=4, seed=8)
    assert not _batches(other, signals, 0) & dealt
    anew = PerBatch(Random(), batch_size=4, redeal=True, seed=9)
    survivors = [len(_batches(anew, signals, seed) & dealt) for seed in range(5)]
    assert max(survivors) <= 1


def test_a_batch_keeps_its_number() -> None:
    signals = make_signals(40)
    members: dict[int, set[int]] = {}
    for seed in range(6):
        subset = PerBatch(GradMatch(), batch_size=4).select(
            signals, 20, torch.Generator().manual_seed(seed)
        )
        assert subset.batches is not None
        for number in set(subset.batches.tolist()):
            now = set(subset.indices[subset.batches == number].tolist())
            assert members.setdefault(number, now) == now


class _Probe(Selector):
    """Takes the first batches and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: Signals | None = None
        self.needs_validation = True

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        self.shown = signals
        return Subset(torch.arange(budget), 1 + torch.arange(budget).float())

    def settings(self) -> dict[str, object]:
        return {}


def test_batches_stand_for_their_share_of_the_mean_gradient() -> None:
    signals = make_signals(50)
    probe = _Probe()
    subset = PerBatch(probe, batch_size=8).select(signals, 20, torch.Generator().manual_seed(0))
    shown = probe.shown
    assert shown is not None
    assert len(shown) == 7
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    vectors = shown.inputs * shown.output_gradients
    torch.testing.assert_close(
        vectors.mean(0), (gradient_sum(signals) / 50).flatten().float(), rtol=1e-4, atol=1e-6
    )
    first = gradient_sum(signals, indices=order[:8]).flatten() * 7 / 50
    torch.testing.assert_close(vectors[0], first.float(), rtol=1e-4, atol=1e-6)
    assert shown.validation is not None
    assert signals.validation is not None
    mean = gradient_sum(signals.validation).flatten() / len(signals.validation)
    torch.testing.assert_close(shown.validation.inputs[0], mean.float(), rtol=1e-4, atol=1e-6)
    # Heaviest batch first; the lightest is cut to four.
    assert subset.indices.tolist() == [*order[16:24], *order[8:16], *order[:4]]
    assert subset.batches is not None
    assert torch.bincount(subset.batches).tolist() == [4, 8, 8]
    ratio = subset.weights / subset.weights[-1]
    assert ratio.tolist() == pytest.approx([3.0] * 8 + [2.0] * 8 + [1.0] * 4)
    assert subset.gradient_error == pytest.approx(gradient_error(signals, subset))


def test_matching_batches_beats_random_batches() -> None:
    signals = make_signals(600, dimension=6)
    error = (
        PerBatch(GradMatch(), batch_size=10)
        .select(signals, 120, torch.Generator().manual_seed(0))
        .gradient_error
    )
    assert error is not None
    for seed in range(5):
        batches = PerBatch(Random(), batch_size=10).select(
            signals, 120, torch.Generator().manual_seed(seed)
        )
        assert batches.gradient_error is None
        assert error < 0.7 * gradient_error(signals, batches)


def test_everything_is_everything() -> None:
    subset = PerBatch(Random(), batch_size=8).select(make_signals(50), 50, torch.Generator())
    assert sorted(subset.indices.tolist()) == list(range(50))
    assert subset.weights.tolist() == [1.0] * 50


def test_settings_name_what_is_inside() -> None:
    settings_ = PerBatch(GradMatch(regularization=0.1), batch_size=64).settings()
    assert settings_["selector"] == "GradMatch"
    assert settings_["regularization"] == 0.1
    assert settings_["batch_size"] == 64
    assert (settings_["redeal"], settings_["seed"]) == (False, 0)
    assert "seed" not in PerBatch(Random(), redeal=True).settings()


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        PerBatch(Random(), batch_size=0)
    with pytest.raises(ValueError, match="redeal"):
        PerBatch(Random(), redeal=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed"):
        PerBatch(Random(), seed=-1)
    with pytest.raises(ValueError, match="PerBatch cannot wrap"):
        PerBatch(PerBatch(Random()))
