"""Which examples to train on: whole-dataset selectors, pure PyTorch."""

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.full import Full
from tune_select.selection.gradients import gradient_error, gradient_sum, mean_gradient
from tune_select.selection.gradmatch import GradMatch
from tune_select.selection.named import SELECTOR_NAMES, selector_named
from tune_select.selection.omp import OmpSolution, nonnegative_omp
from tune_select.selection.per_batch import PerBatch
from tune_select.selection.random import Random
from tune_select.selection.weighting import EarlyStopWarning

__all__ = [
    "SELECTOR_NAMES",
    "EarlyStopWarning",
    "Full",
    "GradMatch",
    "OmpSolution",
    "PerBatch",
    "Random",
    "Selector",
    "Signals",
    "Subset",
    "gradient_error",
    "gradient_sum",
    "mean_gradient",
    "nonnegative_omp",
    "selector_named",
]
