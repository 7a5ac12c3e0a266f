import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import bootstrap
from analysis.statistics.bootstrap import mean_difference, paired_bootstrap, resampled_units


def differences(values: np.ndarray) -> np.ndarray:
    """A cube whose arm 0 minus arm 1 is ``values`` (C, S)."""
    return np.stack([values, np.zeros_like(values)])


def test_mean_difference_counts_shared_cells_once() -> None:
    cube = np.array([[[1.0, np.nan], [3.0, 5.0]], [[0.0, 0.0], [1.0, np.nan]]])
    assert mean_difference(cube) == pytest.approx((1.0 + 2.0) / 2)
    assert mean_difference(np.stack([cube, cube + 7.0])).tolist() == pytest.approx([1.5, 1.5])
    assert math.isnan(float(mean_difference(np.full((2, 1, 1), np.nan))))


def test_one_seed_agrees_with_students_t() -> None:
    values = np.random.default_rng(3).normal(0.3, 1.0, (40, 1))
    found = paired_bootstrap(mean_difference, differences(values), resamples=20_000)
    low, high = stats.t.interval(0.95, 39, loc=values.mean(), scale=stats.sem(values[:, 0]))
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(low, abs=0.03 * (high - low))
    assert found.high == pytest.approx(high, abs=0.03 * (high - low))


def test_configurations_and_seeds_together_agree_with_satterthwaites_interval() -> None:
    """A mean's two-way analysis of variance, each part as the resampling has it in the limit."""
    rng, (c, s) = np.random.default_rng(2), (10, 6)
    values = rng.normal(0, 1, (c, s)) + rng.normal(0, 1, (c, 1)) + rng.normal(0, 3, (1, s))
    rows = values.mean(axis=1).var(ddof=1) / c
    columns = values.mean(axis=0).var() / s
    cells = values.var(axis=1).mean() / (c * s)
    own = max(0.0, 1 - cells / columns) * columns * s / (s - 1)
    degrees = (rows + own) ** 2 / (rows**2 / (c - 1) + own**2 / (s - 1))
    half = stats.t.ppf(0.95, degrees) * math.sqrt(rows + own)
    found = paired_bootstrap(
        mean_difference, differences(values), level=0.9, resamples=10_000, seed=1
    )
    assert found.resampled == "10 configurations and 6 training seeds"
    assert found.level == 0.9
    assert found.high - found.estimate == pytest.approx(half, rel=0.05)
    assert found.estimate - found.low == pytest.approx(half, rel=0.05)


@pytest.mark.parametrize(("shape", "kinds"), [((6, 1), 1), ((6, 3), 3), ((2, 3), 1)])
def test_as_many_samples_of_each_kind_are_drawn_as_were_asked_for(
    shape: tuple[int, int], kinds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of configurations, of seeds, and of seeds within cells; the data themselves come first."""
    monkeypatch.setattr(bootstrap, "_BLOCK_CELLS", 500)
    sizes: list[int] = []

    def counted(cubes: bootstrap.Array) -> bootstrap.Array:
        sizes.append(len(cubes))
        return mean_difference(cubes)

    cube = differences(np.random.default_rng(0).normal(size=shape))
    paired_bootstrap(counted, cube, resamples=101)
    assert sizes[0] == 1
    assert sum(sizes[1:]) == 101 * kinds
    most = 500 // (shape[0] ** 2 + cube.size)
    assert set(sizes[1:]) == {most, 101 % most} - {0}


def test_an_interval_does_not_hang_on_how_many_samples_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cube = differences(np.random.default_rng(1).normal(size=(30, 1)))
    whole = paired_bootstrap(mean_difference, cube, resamples=4000)
    monkeypatch.setattr(bootstrap, "_BLOCK_CELLS", 7000)  # seven draws a block, the last short
    parts = paired_bootstrap(mean_difference, cube, resamples=4000)
    assert parts.low == pytest.approx(whole.low, abs=1e-12)
    assert parts.high == pytest.approx(whole.high, abs=1e-12)


def test_seeds_within_fixed_configurations_ignore_how_configurations_differ() -> None:
    noise = np.random.default_rng(0).normal(0.0, 1.0, (3, 4))
    far_apart = noise + np.array([[-100.0], [0.0], [100.0]])
    near = paired_bootstrap(mean_difference, differences(noise), seed=1)
    far = paired_bootstrap(mean_difference, differences(far_apart), seed=1)
    assert "within each of 3 fixed configurations" in far.resampled
    assert far.high - far.low == pytest.approx(near.high - near.low)
    pooled = math.sqrt(noise.var(axis=1, ddof=1).mean() / noise.size)
    expected = 2 * stats.t.ppf(0.975, 9) * pooled
    assert near.high - near.low == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(
    ("configurations", "seeds", "known"),
    [(1, 1, False), (4, 1, False), (2, 2, False), (1, 4, False), (5, 1, True), (2, 3, True)],
)
def test_too_few_units_give_no_interval(configurations: int, seeds: int, known: bool) -> None:
    values = np.random.default_rng(0).normal(size=(configurations, seeds))
    found = paired_bootstrap(mean_difference, differences(values))
    assert found.known == known
    assert bool(found.resampled) == known == bool(resampled_units(configurations, seeds))
    assert found.estimate == pytest.approx(values.mean())


def test_the_same_data_give_the_same_interval_and_bounds_hold() -> None:
    values = np.random.default_rng(5).normal(0.98, 0.2, (6, 3))
    first, second = (
        paired_bootstrap(mean_difference, differences(values), bounds=(-1.0, 1.0)) for _ in "ab"
    )
    assert first == second
    assert first.high == 1.0


def test_a_statistic_undefined_on_most_samples_has_no_interval() -> None:
    found = paired_bootstrap(
        lambda cubes: np.where(np.arange(len(cubes)) % 4 == 0, 1.0, np.nan),
        differences(np.ones((6, 1))),
    )
    assert found.estimate == 1.0
    assert not found.known


@pytest.mark.parametrize(
    ("level", "shape"), [(0.0, (2, 5, 1)), (1.0, (2, 5, 1)), (1.5, (2, 5, 1)), (0.9, (5, 1))]
)
def test_bad_arguments_name_themselves(level: float, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="level must be|cube must be"):
        paired_bootstrap(mean_difference, np.zeros(shape), level=level)


def coverage(configurations: int, seeds: int, spread: tuple[float, float], trials: int) -> float:
    """Share of 95% intervals that hold the true mean zero, of differences with these spreads.

    Args:
        configurations: C.
        seeds: S.
        spread: Standard deviation between configurations and between seeds; cells vary by 1.
        trials: Simulated sweeps.
    """
    rng, hits = np.random.default_rng(11), 0
    for i in range(trials):
        values = rng.normal(0, 1, (configurations, seeds))
        values += rng.normal(0, spread[0], (configurations, 1))
        values += rng.normal(0, spread[1], (1, seeds))
        found = paired_bootstrap(mean_difference, differences(values), resamples=500, seed=i)
        hits += found.low <= 0.0 <= found.high
    return hits / trials


def test_intervals_cover_what_they_say() -> None:
    assert 0.92 <= coverage(10, 1, (1.0, 0.0), 400) <= 0.98
    assert 0.92 <= coverage(8, 3, (1.0, 0.2), 400) <= 0.98
    # Three seeds that vary more than configurations: none of their resamples is far enough out.
    assert 0.92 <= coverage(8, 3, (0.3, 1.0), 300) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("configurations", "seeds", "spread"),
    [
        (5, 1, (1.0, 0.0)),
        (6, 1, (1.0, 0.0)),
        (10, 1, (0.0, 0.0)),
        (20, 1, (1.0, 0.0)),
        (6, 3, (1.0, 0.0)),
        (6, 3, (1.0, 0.5)),
        (20, 3, (0.2, 1.0)),
        (27, 3, (0.5, 3.0)),
        (10, 5, (0.3, 1.0)),
        (10, 5, (1.0, 0.5)),
        (3, 3, (0.0, 0.0)),
        (3, 5, (0.0, 0.0)),
        (1, 6, (0.0, 0.0)),
    ],
)
def test_coverage_over_designs(
    configurations: int, seeds: int, spread: tuple[float, float]
) -> None:
    assert 0.92 <= coverage(configurations, seeds, spread, 2000) <= 0.98


@pytest.mark.slow
def test_the_ends_of_what_can_be_told_are_covered_too() -> None:
    # Noise alone: what is left of the seeds' part is as uncertain as what it was taken from.
    assert 0.95 <= coverage(6, 3, (0.0, 0.0), 2000) <= 1.0
    assert 0.95 <= coverage(20, 3, (0.2, 0.0), 2000) <= 1.0
    # Two seeds that vary more than configurations: the least that can be told at all.
    assert 0.9 <= coverage(10, 2, (0.3, 1.0), 2000) <= 0.98


def test_errors_of_the_values_widen_the_interval_by_their_size() -> None:
    """Equal differences: all that is left is the errors, independent in both arms' C cells."""
    cube = differences(np.full((40, 1), 0.3))
    assert paired_bootstrap(mean_difference, cube).high == pytest.approx(0.3)
    errors = np.full(cube.shape, 0.1)
    found = paired_bootstrap(mean_difference, cube, errors=errors, resamples=20_000)
    expected = stats.t.ppf(0.975, 39) * 0.1 * math.sqrt(2 / 40) * math.sqrt(40 / 39)
    assert found.high - 0.3 == pytest.approx(expected, rel=0.05)
    assert 0.3 - found.low == pytest.approx(expected, rel=0.05)


def test_values_without_errors_have_the_interval_that_they_had() -> None:
    cube = differences(np.random.default_rng(5).normal(0.98, 0.2, (6, 3)))
    plain = paired_bootstrap(mean_difference, cube)
    assert paired_bootstrap(mean_difference, cube, errors=np.zeros_like(cube)) == plain
    assert paired_bootstrap(mean_difference, cube, errors=np.full_like(cube, np.nan)) == plain


def test_errors_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"errors must have the shape of cube, \(2, 6, 3\)"):
        paired_bootstrap(mean_difference, np.zeros((2, 6, 3)), errors=np.zeros((2, 6, 1)))


@pytest.mark.parametrize(
    ("configurations", "seeds", "resampled"),
    [
        (5, 1, "5 configurations, one training seed"),
        (5, 3, "5 configurations and 3 training seeds"),
        (4, 1, ""),
        (4, 2, "2 training seeds within each of 4 fixed configurations"),
        (3, 2, ""),
        (1, 5, "5 training seeds within the one configuration"),
        (1, 4, ""),
    ],
)
def test_what_is_resampled_of_how_many(configurations: int, seeds: int, resampled: str) -> None:
    """Five configurations, or four degrees of freedom within them; less tells nothing."""
    assert resampled_units(configurations, seeds) == resampled


def test_the_interval_of_a_choice_is_of_the_size_of_what_is_chosen_among() -> None:
    """Where nearly all that seeds move is noise, next to no degree of freedom was left."""

    def regret(cube: bootstrap.Array) -> bootstrap.Array:
        full, cheap = (cube[..., arm, :, :].mean(-1) for arm in (0, 1))
        chosen = np.take_along_axis(full, cheap.argmax(-1)[..., None], -1)[..., 0]
        return np.asarray(full.max(-1) - chosen)

    rng = np.random.default_rng(0)
    for _ in range(60):
        effects = np.linspace(0, 1, 8)[:, None]
        cube = effects + rng.normal(scale=[[[0.02]], [[0.1]]], size=(2, 8, 3))
        found = paired_bootstrap(regret, cube, resamples=300)
        assert found.high - found.low < 5 * (cube.max() - cube.min())
