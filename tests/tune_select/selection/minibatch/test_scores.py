"""Uniform, losses, norms, AdaBoost and coresets against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.selection.minibatch import (
    AdaBoost,
    BatchSignals,
    BigLoss,
    CoresetExtremes,
    CoresetMean,
    GradientNorm,
    MiniBatchSelector,
    Plan,
    Progress,
    SmallLoss,
    Uniform,
)
from tune_select.testing.minibatch_selectors import make_batch_signals

LOSSES = st.lists(
    st.floats(0, 20, width=32, allow_subnormal=False), min_size=2, max_size=40, unique=True
)


def chosen(selector: MiniBatchSelector, losses: list[float], budget: int) -> list[float]:
    """The chosen losses in ascending order."""
    signals = BatchSignals.of_losses(torch.tensor(losses))
    choice = selector.choose(signals, budget, torch.Generator().manual_seed(0))
    return sorted(signals.losses[choice.positions].tolist())


@settings(derandomize=True, deadline=None, max_examples=50)
@given(losses=LOSSES, data=st.data())
def test_losses_in_order(losses: list[float], data: st.DataObject) -> None:
    budget = data.draw(st.integers(1, len(losses)))
    ascending = sorted(torch.tensor(losses).tolist())
    assert chosen(BigLoss(), losses, budget) == ascending[-budget:]
    assert chosen(AdaBoost(), [x / 25 for x in losses], budget) == pytest.approx(
        [x / 25 for x in ascending[-budget:]], rel=1e-6
    )
    assert chosen(SmallLoss(), losses, budget) == ascending[:budget]
    small, big = budget // 2, budget - budget // 2
    expected = ascending[:small] + ascending[len(ascending) - big :]
    if budget < len(losses):
        assert chosen(CoresetExtremes(), losses, budget) == expected


@settings(derandomize=True, deadline=None, max_examples=50)
@given(losses=LOSSES, data=st.data())
def test_coreset_mean_takes_the_nearest_to_the_mean(
    losses: list[float], data: st.DataObject
) -> None:
    budget = data.draw(st.integers(1, len(losses)))
    values = torch.tensor(losses)
    distances = sorted((values - values.mean()).abs().tolist())
    got = sorted((torch.tensor(chosen(CoresetMean(), losses, budget)) - values.mean()).abs())
    assert [float(x) for x in got] == distances[:budget]


def test_ada_boost_is_equation_1_inside_its_range_and_monotone_outside() -> None:
    losses = torch.tensor([0.0, 0.1, 0.5, 0.9, 0.998, 0.9995, 1.0, 2.0, 30.0])
    scores = AdaBoost().scores(BatchSignals.of_losses(losses), 1, torch.Generator().manual_seed(0))
    for loss, score in zip(losses[:5].tolist(), scores[:5].tolist(), strict=True):
        assert score == pytest.approx(0.5 * math.log((1 + loss) / (1 - loss)), rel=1e-4)
    assert bool((scores.diff() > 0).all())


def test_gradient_norm_takes_the_largest_norms() -> None:
    signals = make_batch_signals(24)
    ones = torch.ones(24, 1)
    gradients = (
        signals.output_gradients.unsqueeze(2) * torch.cat([signals.inputs, ones], 1)[:, None]
    )
    expected = gradients.flatten(1).norm(dim=1).topk(7).indices
    choice = GradientNorm().choose(signals, 7, torch.Generator().manual_seed(0))
    assert set(choice.positions.tolist()) == set(expected.tolist())


def test_gradient_norm_says_what_it_needs() -> None:
    signals = BatchSignals.of_losses(torch.rand(8))
    with pytest.raises(ValueError, match="linear head"):
        GradientNorm().choose(signals, 3, torch.Generator())


def test_uniform_is_unbiased() -> None:
    """The mean over many draws of the chosen mean is the batch mean, within 4 standard errors."""
    signals = BatchSignals.of_losses(torch.randn(32, generator=torch.Generator().manual_seed(1)))
    values = signals.losses.double()
    generator, draws, budget = torch.Generator().manual_seed(0), 4000, 8
    means = torch.stack(
        [
            values[Uniform().choose(signals, budget, generator).positions].mean()
            for _ in range(draws)
        ]
    )
    # Sampling without replacement: variance s^2 / m times (1 - m / M).
    standard_error = (values.var() / budget * (1 - budget / 32) / draws).sqrt()
    assert abs(means.mean() - values.mean()) < 4 * standard_error
    assert float(means.var()) == pytest.approx(float(standard_error**2 * draws), rel=0.1)


def test_uniform_chooses_every_example_equally_often() -> None:
    signals = BatchSignals.of_losses(torch.linspace(0, 9, 20))
    generator, draws = torch.Generator().manual_seed(2), 5000
    counts = torch.zeros(20)
    for _ in range(draws):
        counts[Uniform().choose(signals, 5, generator).positions] += 1
    expected = draws * 5 / 20
    # Chi-squared with 19 degrees of freedom, at the 0.999 quantile; smaller, without replacement.
    assert float(((counts - expected) ** 2 / expected).sum()) < 43.8


def test_uniform_spends_no_selection_pass() -> None:
    assert Uniform().plan(Progress(0, 1, 0)) is Plan.CHOOSE
    assert BigLoss().plan(Progress(0, 1, 0)) is Plan.MEASURE
