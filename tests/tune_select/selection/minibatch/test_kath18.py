"""Kath18: the condition to start, and sampling in proportion to the loss."""

from __future__ import annotations

import pytest
import torch

from tune_select.selection.minibatch import BatchSignals, Kath18, Plan, Progress

NOW = Progress(epoch=0, max_epochs=10, batch=0)


def tau_of_the_paper(losses: torch.Tensor) -> float:
    """Katharopoulos and Fleuret 2018: tau^-2 = 1 - ||g - u||^2 / ||g||^2."""
    g = losses / losses.sum()
    u = torch.full_like(g, 1 / len(g))
    return float((1 - (g - u).square().sum() / g.square().sum()) ** -0.5)


def test_tau_is_the_papers() -> None:
    losses = torch.rand(64, generator=torch.Generator().manual_seed(0)).double().square()
    selector = Kath18(momentum=0)
    selector.observe(losses)
    assert float(selector.metrics()["variance_reduction"]) == pytest.approx(
        tau_of_the_paper(losses)
    )


def test_starts_when_the_variance_reduction_exceeds_the_threshold() -> None:
    selector = Kath18(threshold=1.5, momentum=0.9)
    skewed = torch.zeros(64)
    skewed[:4] = 1.0  # tau = sqrt(64 / 4) = 4
    tau, plans, expected = 0.0, [], []
    for _ in range(12):
        expected.append(Plan.MEASURE if tau > 1.5 else Plan.WHOLE)
        plans.append(selector.plan(NOW))
        selector.observe(skewed)
        tau = 0.9 * tau + 0.1 * 4
    assert plans == expected
    assert {Plan.MEASURE, Plan.WHOLE} == set(plans)
    for _ in range(40):
        selector.observe(torch.ones(64))  # tau = 1: back to whole batches
    assert selector.plan(NOW) is Plan.WHOLE


def test_threshold_follows_from_the_sizes() -> None:
    """B + 3 b < 3 tau b with B = 60, b = 20 asks for tau > 2; the first batch tells the sizes."""
    selector = Kath18(momentum=0)
    assert selector.plan(NOW) is Plan.MEASURE
    selector.choose(BatchSignals.of_losses(torch.ones(60)), 20, torch.Generator().manual_seed(0))
    for share, plan in [(0.3, Plan.WHOLE), (0.2, Plan.MEASURE)]:  # tau = share^-1/2 = 1.83, 2.24
        losses = torch.zeros(60)
        losses[: int(60 * share)] = 1
        selector.observe(losses)
        assert selector.plan(NOW) is plan


def test_threshold_zero_starts_at_once() -> None:
    assert Kath18(threshold=0).plan(NOW) is Plan.MEASURE


def test_draws_are_proportional_to_the_losses_and_may_repeat() -> None:
    losses = torch.tensor([0.0, 1.0, 2.0, 5.0, 0.0])
    selector, generator = Kath18(), torch.Generator().manual_seed(0)
    signals, counts, draws = BatchSignals.of_losses(losses), torch.zeros(5), 3000
    for _ in range(draws):
        positions = selector.choose(signals, 4, generator).positions
        counts += positions.bincount(minlength=5)
    expected = losses / losses.sum()
    deviation = (expected * (1 - expected) / (4 * draws)).sqrt()
    assert bool(((counts / (4 * draws) - expected).abs() <= 4.5 * deviation).all())


def test_reweighted_mean_is_the_batch_mean() -> None:
    """The self-normalised estimate of the mean of another quantity converges to it."""
    generator = torch.Generator().manual_seed(0)
    losses, values = (
        torch.rand(100, generator=generator) + 0.1,
        torch.randn(100, generator=generator),
    )
    signals, estimates = BatchSignals.of_losses(losses), []
    for _ in range(2000):
        choice = Kath18(reweight=True).choose(signals, 50, generator)
        estimates.append((choice.weights * values[choice.positions]).mean())
    error = torch.stack(estimates).std() / 2000**0.5
    bias = 1 / 50  # of order 1 / m for a ratio of two estimates
    assert abs(torch.stack(estimates).mean() - values.mean()) < 4 * error + bias


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"threshold": -1}, "threshold must be"), ({"momentum": 1.0}, "momentum must be")],
)
def test_bad_settings(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Kath18(**settings)  # type: ignore[arg-type]
