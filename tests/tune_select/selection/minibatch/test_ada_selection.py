"""AdaSelection against equations 3 to 6 written out."""

from __future__ import annotations

import math

import pytest
import torch

from tune_select.selection.minibatch import (
    AdaBoost,
    AdaSelection,
    BatchSignals,
    BigLoss,
    CoresetExtremes,
    CoresetMean,
    GradientMatching,
    GradientNorm,
    ScoringSelector,
    SelectiveBackprop,
    SmallLoss,
    Uniform,
)
from tune_select.testing.minibatch_selectors import make_batch_signals


@pytest.mark.parametrize(
    "candidate",
    [BigLoss, SmallLoss, GradientNorm, AdaBoost, CoresetExtremes, CoresetMean, Uniform],
)
def test_one_candidate_is_that_candidate(candidate: type[ScoringSelector]) -> None:
    ada = AdaSelection([candidate()])
    for seed in range(20):
        signals = make_batch_signals(64, seed=seed)
        first = ada.choose(signals, 20, torch.Generator().manual_seed(seed))
        second = candidate().choose(signals, 20, torch.Generator().manual_seed(seed))
        assert set(first.positions.tolist()) == set(second.positions.tolist())


def standardised_softmax(scores: list[float]) -> list[float]:
    mean = sum(scores) / len(scores)
    spread = math.sqrt(sum((x - mean) ** 2 for x in scores) / len(scores))
    powers = [math.exp((x - mean) / spread) for x in scores]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("beta", [-1.0, 0.0, 0.7])
@pytest.mark.parametrize("curriculum", [None, -0.5, 0.5])
def test_scores_and_weights_are_the_equations(beta: float, curriculum: float | None) -> None:
    ada = AdaSelection([BigLoss(), SmallLoss()], beta=beta, curriculum=curriculum)
    weights, before, generator = [1.0, 1.0], None, torch.Generator()
    for iteration in range(1, 5):
        signals = make_batch_signals(10, seed=iteration)
        losses = signals.losses.tolist()
        ascending = sorted(losses)
        means = [sum(ascending[-4:]) / 4, sum(ascending[:4]) / 4]  # what each would choose
        if before is not None:
            weights = [
                w * math.exp(beta * abs(now - then) / then)
                for w, now, then in zip(weights, means, before, strict=True)
            ]
        before = means
        alphas = [standardised_softmax(losses), standardised_softmax([-x for x in losses])]
        squares = sum(x * x for x in losses)
        expected = [
            (1 if curriculum is None else math.exp(-(iteration**curriculum) * loss / squares))
            * sum(w / sum(weights) * alpha[i] for w, alpha in zip(weights, alphas, strict=True))
            for i, loss in enumerate(losses)
        ]
        assert ada.scores(signals, 4, generator).tolist() == pytest.approx(expected, rel=1e-4)
        logged = [float(value) for value in ada.metrics().values()]
        assert logged == pytest.approx([w / sum(weights) for w in weights], rel=1e-4)


def test_weights_stay_finite_over_a_long_run() -> None:
    """Eq. 3 taken literally overflows within a few hundred iterations of changing losses."""
    ada = AdaSelection([BigLoss(), SmallLoss(), Uniform()], beta=1)
    generator = torch.Generator().manual_seed(0)
    for iteration in range(3000):
        losses = torch.rand(16, generator=generator) * (100 if iteration % 2 else 0.01)
        ada.choose(BatchSignals.of_losses(losses), 4, generator)
    weights = torch.stack(list(ada.metrics().values()))
    assert bool(torch.isfinite(weights).all())
    assert float(weights.sum()) == pytest.approx(1.0)


def test_threshold_takes_all_scores_above_it() -> None:
    ada, twin = (AdaSelection([BigLoss(), SmallLoss()], threshold=t) for t in (1.1, None))
    signals, generator = make_batch_signals(40), torch.Generator()
    scores = twin.scores(signals, 10, generator)
    expected = (scores > 1.1 * scores.mean()).nonzero().squeeze(1)
    assert ada.variable_size
    assert torch.equal(ada.choose(signals, 10, generator).positions, expected)


def test_metrics_name_the_candidates() -> None:
    ada = AdaSelection([BigLoss(), CoresetMean(), BigLoss()])
    assert list(ada.metrics()) == [
        "method_weight_big_loss",
        "method_weight_coreset_mean",
        "method_weight_big_loss_2",
    ]


def test_candidates_keep_their_state() -> None:
    """The history of a candidate goes through the checkpoint."""
    first, second = (AdaSelection([SelectiveBackprop(history_size=64)]) for _ in range(2))
    generator = torch.Generator()
    first.scores(make_batch_signals(32, seed=1), 8, generator)
    second.load_state_dict(first.state_dict())
    signals = make_batch_signals(32, seed=2)
    assert torch.equal(first.scores(signals, 8, generator), second.scores(signals, 8, generator))
    with pytest.raises(ValueError, match="pool of 2"):
        AdaSelection([BigLoss(), BigLoss()]).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ([], "at least one candidate"),
        ([BigLoss(), AdaSelection([BigLoss()])], "no score per example"),
        ([GradientMatching()], "no score per example"),
    ],
)
def test_bad_pools(pool: list[ScoringSelector], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdaSelection(pool)


@pytest.mark.parametrize("settings", [{"beta": 1.01}, {"beta": -2}, {"threshold": -0.1}])
def test_bad_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        AdaSelection([BigLoss()], **settings)
