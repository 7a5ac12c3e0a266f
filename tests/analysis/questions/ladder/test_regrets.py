import math

import numpy as np
import numpy.typing as npt
import pytest

from analysis.questions.ladder.regrets import mean_interval
from analysis.statistics.bootstrap import Interval
from analysis.statistics.jackknife import pseudo_values
from analysis.statistics.losses import two_way_error, usual_ratio

Array = npt.NDArray[np.float64]
RNG = np.random.default_rng(5)


def draws_of(size: int, count: int, left_out: int) -> npt.NDArray[np.bool_]:
    """Members of random draws, (D, C)."""
    whole = np.tile(np.arange(size) >= left_out, (count, 1))
    return RNG.permuted(whole, axis=1)


def interval_of(
    values: Array, members: npt.NDArray[np.bool_], *, losses: float | None = None, least: float = 0
) -> Interval:
    pseudo = pseudo_values(values, members)
    return mean_interval(values, pseudo, losses=losses, least_ratio=least)


def test_the_interval_holds_the_luck_of_the_space_whatever_the_number_of_draws() -> None:
    """What a draw's best is worth hangs on the configurations that there are, not on the draws."""
    worth = RNG.normal(size=27)
    widths = []
    for count in (300, 3000):
        members = draws_of(27, count, left_out=5)
        values = np.where(members, worth, 0.0).sum(axis=1, keepdims=True) / 22
        found = interval_of(values, members, losses=0.0)
        assert found.low < worth.mean() < found.high
        widths.append(found.high - found.low)
    usual = 2 * 1.96 * worth.std(ddof=1) / math.sqrt(27)
    assert widths == pytest.approx([usual, usual], rel=0.25)


def test_what_is_always_the_same_has_no_spread() -> None:
    members = draws_of(10, 60, left_out=2)
    same = interval_of(np.full((60, 3), 0.5), members)
    assert (same.low, same.high) == pytest.approx((0.5, 0.5))


def test_too_few_draws_or_configurations_give_no_limits() -> None:
    few = draws_of(10, 3, left_out=2)
    assert not interval_of(RNG.normal(size=(3, 3)), few).known
    small = draws_of(4, 100, left_out=1)
    assert not interval_of(RNG.normal(size=(100, 3)), small).known


def searched(
    rng: np.random.Generator, members: npt.NDArray[np.bool_], noises: list[float], seeds: int
) -> list[Array]:
    """Regrets (D, S) of searches that choose by what they saw, on one sample of configurations.

    Args:
        rng: Draws the sample.
        members: Of the draws, (D, C).
        noises: Standard deviation of what each search sees about a configuration's worth, of 1.
        seeds: S; a seed moves each search's luck as a whole, too.
    """
    size = members.shape[1]
    worth = rng.standard_normal(size)
    truth = (worth + rng.normal(0, 0.25, (seeds, size))).mean(axis=0)
    best = np.where(members, truth, -np.inf).max(axis=1)
    found = []
    for noise in noises:
        own = noise * np.exp(rng.normal(0, 0.3, (seeds, 1)))
        seen = worth + own * rng.standard_normal((seeds, size))
        chosen = np.where(members[:, None], seen, -np.inf).argmax(axis=-1)
        found.append(best[:, None] - truth[chosen])
    return found


@pytest.mark.parametrize(
    ("size", "seeds", "noises"),
    [
        (27, 3, (0.3, 0.8)),
        pytest.param(27, 3, (0.2, 0.5), marks=pytest.mark.slow),
        pytest.param(27, 3, (0.5, 0.5), marks=pytest.mark.slow),
        pytest.param(27, 5, (0.2, 0.8), marks=pytest.mark.slow),
        pytest.param(18, 3, (0.4, 0.8), marks=pytest.mark.slow),
    ],
)
def test_intervals_of_losses_cover_what_they_say(
    size: int, seeds: int, noises: tuple[float, float]
) -> None:
    """From a known model. Percentiles of a bootstrap cover 78 to 92% of the losses."""
    rng, own, gains = np.random.default_rng(7), [], []
    for _ in range(200):
        members = draws_of(size, 100, left_out=size // 5)
        every = searched(rng, members, [*noises, 0.4, 0.8, 1.5], seeds)
        cells = [pseudo_values(values, members) for values in every]
        errors = [two_way_error(found)[0] for found in cells if found is not None]
        least = usual_ratio([float(values.mean()) for values in every], errors)
        first, second = every[:2]
        own.append(interval_of(first, members, least=least))
        both = float(first.mean() + second.mean())
        gains.append(interval_of(second - first, members, losses=both, least=least))
    for found in (own, gains):
        truth = np.mean([interval.estimate for interval in found])
        held = np.mean([interval.low <= truth <= interval.high for interval in found])
        assert held >= 0.93
