"""The jackknife against values that are known."""

import numpy as np
import pytest

from analysis.statistics.jackknife import pseudo_values

RNG = np.random.default_rng(5)


def test_pseudo_values_of_a_mean_are_the_values_themselves() -> None:
    """With draws that leave out each one in turn, the jackknife of a mean is the data."""
    data = RNG.normal(size=(9, 3))
    members = ~np.eye(9, dtype=bool)
    every = np.concatenate([members, members])
    values = (every[:, :, None] * data).sum(axis=1) / 8
    found = pseudo_values(values, every)
    assert found is not None
    np.testing.assert_allclose(found, data)


def test_an_influence_needs_two_draws_without_a_configuration() -> None:
    members = ~np.eye(9, dtype=bool)
    values = RNG.normal(size=(9, 2))
    assert pseudo_values(values, members) is None
    assert pseudo_values(np.tile(values, (2, 1)), np.tile(members, (2, 1))) is not None
    few = np.tile(~np.eye(4, dtype=bool), (5, 1))
    assert pseudo_values(RNG.normal(size=(20, 2)), few) is None, "of four configurations"


def test_few_draws_take_at_most_three_quarters_of_an_influence() -> None:
    """Of values that hang on nothing: the noise of few draws may seem to be all that there is."""
    size, draws, kept = 12, 40, []
    for _ in range(40):
        members = RNG.permuted(np.tile(np.arange(size) >= 2, (draws, 1)), axis=1)
        values = RNG.normal(size=(draws, 1))
        found = pseudo_values(values, members)
        if found is None:
            continue
        left_out = (~members).astype(float)
        without = left_out.T @ values / left_out.sum(axis=0)[:, None]
        influence = (size - 1) * (without.mean(axis=0) - without)
        kept.append(((found - found.mean()) ** 2).mean() / (influence**2).mean())
    assert min(kept) == pytest.approx(0.25)
    assert max(kept) <= 1


def test_what_few_draws_add_is_taken_off_by_hand() -> None:
    """One configuration after the other: (C - 1)^2 times the variance of each mean without it."""
    members = RNG.permuted(np.tile(np.arange(7) >= 2, (60, 1)), axis=1)
    values = RNG.normal(size=(60, 1)) + 3.0 * members[:, :1]
    without = [values[~members[:, c], 0] for c in range(7)]
    means = np.array([v.mean() for v in without])
    influence = 6 * (means.mean() - means)
    noise = 6**2 * np.mean([v.var(ddof=1) / len(v) for v in without])
    kept = 1 - noise / (influence**2).mean()
    assert 0.25 < kept < 1
    found = pseudo_values(values, members)
    np.testing.assert_allclose(found, values.mean() + np.sqrt(kept) * influence[:, None])
