from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tune_select.selection import (
    Entropy,
    FacilityLocation,
    Forgetting,
    ForgettingEvents,
    PerClass,
    Random,
    Selector,
    Signals,
)
from tune_select.testing import SelectorConformance, make_signals


class TestEntropy(SelectorConformance):
    equivariant = True
    smallest_budget = 1

    def make(self) -> Selector:
        return Entropy()


class TestFacilityLocation(SelectorConformance):
    def make(self) -> Selector:
        return FacilityLocation()


class TestFacilityLocationAcrossClasses(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return FacilityLocation(per_class=False, epsilon=0.2, block_size=9)


class _AnySize(Random):
    """Forgetting needs a record of the right size: make one for the data at hand."""

    def select(self, signals: Signals, budget: int, generator: torch.Generator):  # type: ignore[no-untyped-def]
        record = ForgettingEvents(len(signals))
        record.update(torch.arange(len(signals)), torch.arange(len(signals)) % 2 == 0)
        return Forgetting(record=record).select(signals, budget, generator)

    select_path = Selector.select_path  # not that of Random


class TestForgetting(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return _AnySize()


class TestPerClassRandom(SelectorConformance):
    def make(self) -> Selector:
        return PerClass(Random())


class TestPerClassEntropy(SelectorConformance):
    def make(self) -> Selector:
        return PerClass(Entropy())


def test_entropy_takes_the_least_certain() -> None:
    signals = make_signals(50, seed=3)
    onehot = torch.nn.functional.one_hot(signals.labels, 3)
    probabilities = (signals.output_gradients + onehot).double()
    entropy = -(probabilities * probabilities.log()).sum(1)
    chosen = Entropy().select(signals, 10, torch.Generator())
    assert set(chosen.indices.tolist()) == set(entropy.topk(10).indices.tolist())


@pytest.mark.parametrize("labels", [None, torch.full((20,), 7)])
def test_entropy_refuses_other_losses(labels: torch.Tensor | None) -> None:
    signals = make_signals(20)
    if labels is None:
        signals.output_gradients.mul_(3.0)  # a loss weighted threefold
    else:
        signals.labels.copy_(labels)
    with pytest.raises(ValueError, match="softmax cross-entropy"):
        Entropy().select(signals, 5, torch.Generator())


def test_facility_location_sees_features_only() -> None:
    signals = make_signals(40)
    other = make_signals(40)
    other.output_gradients.uniform_(generator=torch.Generator().manual_seed(1))
    first, second = (
        FacilityLocation().select(each, 9, torch.Generator()).indices.tolist()
        for each in (signals, other)
    )
    assert first == second


def test_facility_location_takes_one_of_each_cluster() -> None:
    centres = torch.eye(4).repeat_interleave(5, 0) * 10
    inputs = centres + 0.1 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    signals = Signals(torch.zeros(20, dtype=torch.int64), inputs, torch.ones(20, 1))
    chosen = FacilityLocation().select(signals, 4, torch.Generator()).indices
    assert sorted((chosen // 5).tolist()) == [0, 1, 2, 3]


def test_forgetting_events_are_counted_as_in_the_paper() -> None:
    record = ForgettingEvents(4)
    history = [
        [True, False, True, False],
        [False, False, True, True],
        [True, False, True, False],
        [False, False, True, True],
    ]
    for correct in history:
        order = torch.tensor([2, 0, 3, 1])
        record.update(order, torch.tensor(correct)[order])
    assert record.events.tolist() == [2, 0, 0, 1]
    assert record.learned.tolist() == [True, False, True, True]
    assert record.scores().tolist() == [2, 3, 0, 1]


def test_forgetting_selects_the_most_forgotten(tmp_path: Path) -> None:
    record = ForgettingEvents(4)
    for step in range(4):
        record.update(torch.arange(4), torch.tensor([step % 2 == 0, True, step == 1, False]))
    record.save(tmp_path / "record.npz")
    selector = Forgetting(record=tmp_path / "record.npz")
    signals = Signals.labels_only(torch.zeros(4, dtype=torch.int64))
    assert selector.select(signals, 3, torch.Generator()).indices.tolist() == [3, 0, 2]
    assert selector.settings() == {"record": str(tmp_path / "record.npz")}
    assert [path.name for path in tmp_path.iterdir()] == ["record.npz"]


def test_record_continues_after_a_checkpoint() -> None:
    steps = [torch.rand(6, generator=torch.Generator().manual_seed(i)) > 0.5 for i in range(6)]
    whole, first, second = ForgettingEvents(6), ForgettingEvents(6), ForgettingEvents(6)
    for correct in steps:
        whole.update(torch.arange(6), correct)
    for correct in steps[:3]:
        first.update(torch.arange(6), correct)
    second.load_state_dict(first.state_dict())
    for correct in steps[3:]:
        second.update(torch.arange(6), correct)
    assert torch.equal(whole.scores(), second.scores())


def test_missing_and_broken_records(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="forgetting needs record"):
        Forgetting()
    with pytest.raises(ValueError, match="does not exist"):
        Forgetting(record=tmp_path / "none.npz")
    (tmp_path / "broken.npz").write_bytes(b"not a record")
    with pytest.raises(ValueError, match="cannot be read"):
        Forgetting(record=tmp_path / "broken.npz")
    with pytest.raises(ValueError, match="size"):
        ForgettingEvents(0)
    with pytest.raises(ValueError, match="holds 3 examples"):
        Forgetting(record=ForgettingEvents(3)).select(make_signals(9), 3, torch.Generator())


def test_stratified_random_gives_classes_their_share() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    chosen = PerClass(Random()).select(Signals.labels_only(labels), 20, torch.Generator())
    assert torch.bincount(labels[chosen.indices]).tolist() == [12, 6, 2]
    assert chosen.weights.tolist() == [1.0] * 20
    with pytest.raises(ValueError, match="PerClass cannot wrap"):
        PerClass(PerClass(Random()))
