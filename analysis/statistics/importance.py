"""Which hyperparameters matter: PED-ANOVA, and whether its answer is more than chance."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

try:
    import optuna
except ImportError:  # on a laptop that only reads results: `can_be_computed` says so
    optuna = None  # type: ignore[assignment]

FEWEST = 12
"""Configurations below which nothing is said: the best quarter would be fewer than three."""

_BEST = 0.25  # the share of configurations whose values are compared with all of them
_LOG_FROM = 20.0  # a positive range of this ratio is read on a logarithmic scale
_SHUFFLES = 19  # with which an importance that is larger than all has a chance of 1 in 20


def can_be_computed() -> bool:
    """Whether Optuna is installed."""
    return optuna is not None


def importances(points: pd.DataFrame, scores: npt.NDArray[np.float64]) -> pd.DataFrame:
    """How far the values of the best configurations differ from those of all, key by key.

    PED-ANOVA (Watanabe, Bansal and Hutter, 2023), as Optuna computes it: the share of the variance
    of belonging to the best that each key explains by itself. Here the best are a quarter, as
    searches have tens of configurations and not thousands.

    Args:
        points: A row per configuration and a column per key, without missing values.
        scores: float (n,), more is better; configurations that failed are left out by the caller.

    Returns:
        ``axis``, ``importance`` (they add up to 1) and ``chance``: of so large an importance where
        scores are dealt out at random, counted in shuffles with fixed seeds. The largest first;
        empty where there are fewer than ``FEWEST`` configurations, one key, or equal scores, and
        where Optuna is not installed.
    """
    empty = pd.DataFrame({"axis": [], "importance": [], "chance": []})
    too_few = len(points) < FEWEST or points.shape[1] < 2 or np.ptp(scores) == 0
    if too_few or not can_be_computed():
        return empty
    distributions = {str(key): _distribution(points[key]) for key in points}
    names = list(distributions)
    rows = [
        {name: _value(row[name], distributions[name]) for name in names}
        for row in points.to_dict("records")
    ]
    own = _ped_anova(rows, distributions, scores)
    larger = np.ones(len(names))
    for seed in range(_SHUFFLES):
        shuffled = np.random.default_rng(seed).permutation(scores)
        larger += _ped_anova(rows, distributions, shuffled) >= own
    total = own.sum()
    frame = pd.DataFrame(
        {
            "axis": names,
            "importance": own / total if total > 0 else np.full(len(names), np.nan),
            "chance": larger / (_SHUFFLES + 1),
        }
    )
    return frame.sort_values("importance", ascending=False, ignore_index=True, kind="stable")


def _ped_anova(
    rows: Sequence[Mapping[str, Any]],
    distributions: Mapping[str, Any],
    scores: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Importances in the order of the distributions, not normalised."""
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = _evaluator()
        study = optuna.create_study(direction="maximize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params=dict(row), distributions=dict(distributions), value=float(score)
                )
                for row, score in zip(rows, scores, strict=True)
            ]
        )
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, params=list(distributions), normalize=False
        )
    # Optuna 4.0 leaves out what never varies.
    return np.array([found.get(name, 0.0) for name in distributions])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling on the terminal of every study that is made."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _evaluator() -> Any:
    evaluator: Any = optuna.importance.PedAnovaImportanceEvaluator
    try:
        return evaluator(target_quantile=_BEST)
    except TypeError:  # Optuna 4 calls it by another name
        return evaluator(baseline_quantile=_BEST)


def is_logarithmic(values: pd.Series) -> bool:
    """Whether numbers span so many powers that only their logarithm tells them apart."""
    low, high = float(values.min()), float(values.max())
    return low > 0 and high / low >= _LOG_FROM


def are_numbers(values: pd.Series) -> bool:
    """Whether all values are finite numbers, yes and no not among them."""
    own = values.astype(object)
    if own.map(lambda v: isinstance(v, bool | np.bool_)).any():
        return False
    return bool(own.map(lambda v: isinstance(v, int | float | np.number) and np.isfinite(v)).all())


def _distribution(values: pd.Series) -> Any:
    if not are_numbers(values):
        return optuna.distributions.CategoricalDistribution(
            sorted({str(value) for value in values})
        )
    low, high = float(values.min()), float(values.max())
    return optuna.distributions.FloatDistribution(low, high, log=is_logarithmic(values))


def _value(value: Any, distribution: Any) -> Any:
    return (
        str(value)
        if isinstance(distribution, optuna.distributions.CategoricalDistribution)
        else float(value)
    )
