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


def softmax_of_ranks(scores: list[float]) -> list[float]:
    ranks = [float(sum(other < score for other in scores)) for score in scores]
    mean = sum(ranks) / len(ranks)
    spread = math.sqrt(sum((x - mean) ** 2 for x in ranks) / len(ranks))
    powers = [math.exp((x - mean) / spread) for x in ranks]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("beta", [-1.0, 0.0, 0.7])
@pytest.mark.parametrize("curriculum", [None, -0.5, 0.5])
@pytest.mark.parametrize(("floor", "smoothing"), [(0.0, 0.0), (0.7, 0.0), (0.7, 0.8)])
def test_scores_and_weights_are_the_equations(
    beta: float, curriculum: float | None, floor: float, smoothing: float
) -> None:
    """With neither floor nor smoothing, eq. 3 as printed."""
    ada = AdaSelection(
        [BigLoss(), SmallLoss()], beta, curriculum=curriculum, floor=floor, smoothing=smoothing
    )
    weights, before, generator = [1.0, 1.0], None, torch.Generator()
    for iteration in range(1, 5):
        signals = make_batch_signals(10, seed=iteration)
        losses = signals.losses.tolist()
        ascending = sorted(losses)
        means = [sum(ascending[-4:]) / 4, sum(ascending[:4]) / 4]  # what each would choose
        now = [*means, sum(losses) / 10]
        if before is not None:
            now = [smoothing * a + (1 - smoothing) * b for a, b in zip(before, now, strict=True)]
            ends = [
                (max(before[m], floor * before[2]), max(now[m], floor * now[2])) for m in range(2)
            ]
            weights = [
                w * math.exp(beta * abs(last - first) / first)
                for w, (first, last) in zip(weights, ends, strict=True)
            ]
        before = now
        alphas = [softmax_of_ranks(losses), softmax_of_ranks([-x for x in losses])]
        shares = [x / sum(losses) for x in losses]
        squares = sum(x * x for x in shares)
        expected = [
            (1 if curriculum is None else math.exp(-(iteration**curriculum) * shares[i] / squares))
            * sum(w / sum(weights) * alpha[i] for w, alpha in zip(weights, alphas, strict=True))
            for i in range(10)
        ]
        assert ada.scores(signals, 4, generator).tolist() == pytest.approx(expected, rel=1e-4)
        logged = [float(value) for value in ada.metrics().values()]
        assert logged == pytest.approx([w / sum(weights) for w in weights], rel=1e-4)


@pytest.mark.parametrize(("beta", "kept"), [(-0.5, "big_loss"), (0.5, "small_loss")])
def test_the_sign_of_beta_says_whether_steady_or_volatile_losses_win(
    beta: float, kept: str
) -> None:
    """Two halves of losses: around 2 by a tenth, around 0.2 by a half of themselves."""
    ada = AdaSelection([BigLoss(), SmallLoss()], beta=beta, floor=0.0, smoothing=0.0)
    for iteration in range(40):
        sign = 1 if iteration % 2 else -1
        losses = torch.tensor([2 + 0.1 * sign] * 4 + [0.2 + 0.1 * sign] * 4)
        ada.choose(BatchSignals.of_losses(losses), 4, torch.Generator())
    weights = {name[14:]: float(weight) for name, weight in ada.metrics().items()}
    assert weights[kept] > 0.99


@pytest.mark.parametrize(("beta", "decided"), [(0.5, 1.0), (-0.5, 0.0)])
def test_losses_near_zero_speak_neither_for_a_method_nor_against_it(
    beta: float, decided: float
) -> None:
    """Small losses that double and halve, a thousandth of the batch's, which moves by 2%."""
    weights = {}
    for floor in (0.0, 0.1):
        ada = AdaSelection([BigLoss(), SmallLoss()], beta=beta, floor=floor, smoothing=0.0)
        for iteration in range(40):
            double = 1 + iteration % 2
            losses = torch.tensor([2.0 * 1.02 ** (iteration % 2)] * 4 + [1e-3 * double] * 4)
            ada.choose(BatchSignals.of_losses(losses), 4, torch.Generator())
        weights[floor] = float(ada.metrics()["method_weight_small_loss"])
    assert weights[0.0] == pytest.approx(decided, abs=0.01)
    assert weights[0.1] == pytest.approx(0.5, abs=0.01)


def test_the_noise_of_a_few_examples_does_not_decide() -> None:
    """Losses of one distribution throughout: no method's change, whoever has the longer tail."""
    weights = {}
    for smoothing in (0.0, 0.9):
        ada = AdaSelection([BigLoss(), SmallLoss(), Uniform()], smoothing=smoothing)
        generator = torch.Generator().manual_seed(0)
        for _ in range(200):
            losses = torch.empty(32).exponential_(generator=generator)
            ada.choose(BatchSignals.of_losses(losses), 10, generator)
        weights[smoothing] = sorted(float(weight) for weight in ada.metrics().values())
    assert weights[0.0][-1] > 0.99
    assert weights[0.9][0] > 0.05


def test_a_long_tail_does_not_outvote_the_others() -> None:
    """One loss is a hundred times the rest: two equal votes take both ends of the batch."""
    losses = torch.cat([torch.linspace(0.9, 1.1, 31), torch.tensor([100.0])])
    ada = AdaSelection([BigLoss(), SmallLoss()], beta=0.0, curriculum=None)
    for tail in (losses, -losses + 101):  # the tail above, the tail below
        chosen = ada.choose(BatchSignals.of_losses(tail), 8, torch.Generator()).positions
        ranks = tail.argsort().argsort()[chosen]
        assert sorted(ranks.tolist()) == [0, 1, 2, 3, 28, 29, 30, 31]


def test_the_reward_prefers_small_losses_first_and_fades() -> None:
    """By a known factor at the start, whatever the unit of the loss and the batch's size."""
    for size, unit in ((8, 1.0), (128, 1e-3)):
        losses = unit * torch.tensor([1.0, 3.0] * (size // 2))
        with_reward, without = (
            AdaSelection([BigLoss(), Uniform()], beta=0.0, curriculum=gamma)
            for gamma in (-0.5, None)
        )
        found = []
        for _ in range(100):
            ratio = [
                ada.scores(BatchSignals.of_losses(losses), 2, torch.Generator().manual_seed(0))
                for ada in (with_reward, without)
            ]
            reward = ratio[0] / ratio[1]
            found.append(float(reward[0] / reward[1]))
        # l mean(l) / mean(l^2) is 0.4 and 1.2 here.
        assert found[0] == pytest.approx(math.exp(0.8), rel=1e-4)
        assert found[99] == pytest.approx(math.exp(0.08), rel=1e-4)


def test_a_checkpoint_of_an_earlier_version_goes_on() -> None:
    ada = AdaSelection([BigLoss(), SmallLoss()])
    ada.choose(make_batch_signals(16), 4, torch.Generator())
    state = {**ada.state_dict(), "mean_losses": torch.tensor([2.0, 1.0])}
    ada.load_state_dict(state)
    ada.choose(make_batch_signals(16), 4, torch.Generator())
    assert next(iter(ada.metrics().values())) == pytest.approx(0.5)


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


@pytest.mark.parametrize(
    "settings",
    [{"beta": 1.01}, {"beta": -2}, {"threshold": -0.1}, {"floor": -1}, {"smoothing": 1.0}],
)
def test_bad_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        AdaSelection([BigLoss()], **settings)
