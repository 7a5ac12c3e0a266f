"""The jackknife against values that are known."""

import numpy as np

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
