"""Schedules and stale losses."""

from __future__ import annotations

import pytest
import torch

from tune_select.selection.minibatch import (
    BatchSignals,
    BigLoss,
    GradientMatching,
    Kath18,
    Plan,
    Progress,
    Scheduled,
    Stale,
    Uniform,
)


def test_schedule_is_the_algorithm() -> None:
    """Cai et al., Algorithm 1, with start and end as shares of ten epochs."""
    selector = Scheduled(BigLoss(), start=0.5, end=0.9, interrupt=3)
    for epoch in range(10):
        for batch in range(7):
            selecting = 5 <= epoch < 9 and batch % 3 != 0
            expected = Plan.MEASURE if selecting else Plan.WHOLE
            assert selector.plan(Progress(epoch, 10, batch)) is expected


def test_schedule_passes_on_what_it_wraps() -> None:
    assert Scheduled(GradientMatching()).needs_gradients
    assert Scheduled(Uniform(), start=0).plan(Progress(0, 10, 0)) is Plan.CHOOSE
    kath = Kath18(threshold=1.5, momentum=0)
    wrapped = Scheduled(kath, start=0.0, end=1.0)
    wrapped.observe(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    assert wrapped.plan(Progress(0, 10, 0)) is Plan.MEASURE  # tau = 2
    assert set(wrapped.metrics()) == {"variance_reduction"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": 0.9, "end": 0.5}, "start=0.9 and end=0.5"),
        ({"end": 1.5}, "end=1.5"),
        ({"interrupt": 1}, "interrupt must be 0"),
        ({"interrupt": -2}, "got -2"),
    ],
)
def test_bad_schedules(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scheduled(BigLoss(), **settings)  # type: ignore[arg-type]


def test_stale_measures_every_nth_epoch() -> None:
    selector = Stale(BigLoss(), every=3)
    plans = [selector.plan(Progress(epoch, 9, batch)) for epoch in range(7) for batch in (0, 1)]
    expected = [Plan.MEASURE if epoch % 3 == 0 else Plan.CHOOSE for epoch in range(7)]
    assert plans == [plan for plan in expected for _ in (0, 1)]


def test_stale_within_a_schedule_measures_its_first_epoch() -> None:
    selector = Scheduled(Stale(BigLoss(), every=2), start=0.3, end=1.0)
    plans = [selector.plan(Progress(epoch, 10, 0)) for epoch in range(7)]
    assert plans == [Plan.WHOLE] * 3 + [Plan.MEASURE, Plan.CHOOSE] * 2


def test_stale_chooses_from_remembered_losses() -> None:
    selector, generator = Stale(BigLoss(), every=2), torch.Generator()
    losses = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0, 0.0])
    for indices in (torch.tensor([4, 0, 2]), torch.tensor([5, 1, 3])):  # any order, any batches
        selector.choose(BatchSignals.of_losses(losses[indices], indices), 2, generator)
    indices = torch.tensor([1, 2, 3, 0])
    choice = selector.choose(BatchSignals.unmeasured(indices), 2, generator)
    assert set(indices[choice.positions].tolist()) == {0, 2}


def test_stale_counts_unseen_examples_as_the_largest_losses() -> None:
    selector, generator = Stale(BigLoss(), every=2), torch.Generator()
    known = torch.arange(4)
    selector.choose(BatchSignals.of_losses(torch.arange(4.0), known), 2, generator)
    indices = torch.tensor([0, 1, 2, 9])  # 9 was never seen: as large as the largest of the batch
    choice = selector.choose(BatchSignals.unmeasured(indices), 2, generator)
    assert set(indices[choice.positions].tolist()) == {2, 9}
    fresh = Stale(BigLoss(), every=2)
    assert len(fresh.choose(BatchSignals.unmeasured(indices), 2, generator)) == 2


def test_stale_refuses_what_it_cannot_remember() -> None:
    with pytest.raises(ValueError, match="GradientMatching, which needs gradients"):
        Stale(GradientMatching(), every=2)
    with pytest.raises(ValueError, match="at least 1 epoch, got 0"):
        Stale(BigLoss(), every=0)
    with pytest.raises(ValueError, match="positions of the examples"):
        Stale(BigLoss()).choose(BatchSignals.of_losses(torch.ones(4)), 2, torch.Generator())
