"""On tiny problems the best of all weighted subsets, by brute force, bounds every selector."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear
from torch import Tensor

from tune_select.selection import (
    ForgettingEvents,
    GradMatch,
    Signals,
    gradient_error,
    gradient_sum,
    selector_named,
)
from tune_select.testing import make_signals

N, K = 11, 4


def tiny(seed: int, dimension: int = 3) -> Signals:
    return make_signals(N, classes=2, dimension=dimension, seed=seed, validation=6)


def errors_of_all_supports(signals: Signals) -> list[float]:
    """Least error of a weighted mean over each support of K: non-negative least squares.

    A heavy row holds the sum of the weights at 1.
    """
    rows: list[Tensor] = [gradient_sum(signals.take(torch.tensor([i]))).flatten() for i in range(N)]
    atoms = torch.stack(rows).numpy()
    mean, heavy = atoms.mean(0), 1e4
    goal = np.append(mean, heavy)
    errors = []
    for support in combinations(range(N), K):
        matrix = np.vstack([atoms[list(support)].T, np.full(K, heavy)])
        weights = lsq_linear(matrix, goal, bounds=(0, np.inf), method="bvls").x
        error = np.linalg.norm(weights @ atoms[list(support)] / weights.sum() - mean)
        errors.append(float(error / np.linalg.norm(mean)))
    return errors


@pytest.mark.parametrize("seed", range(3))
def test_no_selector_beats_the_best_subset(seed: int) -> None:
    signals = tiny(seed)
    best = min(errors_of_all_supports(signals))
    found = {}
    for name in (
        "random", "random_stratified", "random_pb", "gradmatch", "gradmatch_whole",
        "gradmatch_outputs", "gradmatch_all", "gradmatch_pb", "craig", "craig_pb", "glister",
        "facility_location", "entropy", "forgetting",
    ):  # fmt: skip
        settings = {"record": ForgettingEvents(N)} if name == "forgetting" else {}
        if name.endswith("_pb"):
            settings = {"batch_size": 2}
        selector = selector_named(name, **settings)
        subset = selector.select(signals, K, torch.Generator().manual_seed(seed))
        found[name] = gradient_error(signals, subset)
        if subset.gradient_error is not None:
            assert subset.gradient_error == pytest.approx(found[name], abs=1e-6)
    assert min(found.values()) >= best - 1e-6, found


def test_matching_everything_at_once_is_among_the_best_supports() -> None:
    """Greedy has no guarantee here, but few of the 330 supports are better in the median."""
    better = []
    for seed in range(8):
        signals = tiny(seed, dimension=8)
        selector = GradMatch(gradients="layer", per_class=False, regularization=1e-6)
        mine = selector.select(signals, K, torch.Generator()).gradient_error
        assert mine is not None
        better.append(float(np.mean(np.array(errors_of_all_supports(signals)) < mine - 1e-6)))
    assert float(np.median(better)) < 0.05
