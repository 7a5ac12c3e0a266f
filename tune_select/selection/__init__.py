"""Which examples to train on: whole-dataset selectors, pure PyTorch."""

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.craig import Craig
from tune_select.selection.entropy import Entropy
from tune_select.selection.facility_location import greedy_facility_location
from tune_select.selection.features import FacilityLocation
from tune_select.selection.forgetting import Forgetting, ForgettingEvents
from tune_select.selection.full import Full
from tune_select.selection.glister import Glister
from tune_select.selection.gradients import (
    check_request,
    gradient_error,
    gradient_sum,
    mean_gradient,
)
from tune_select.selection.gradmatch import GradMatch
from tune_select.selection.heads.collect import collect_signals
from tune_select.selection.named import SELECTOR_NAMES, selector_named, trials_own
from tune_select.selection.per_batch import PerBatch, random_like
from tune_select.selection.per_class import PerClass
from tune_select.selection.pursuit.omp import OmpSolution, nonnegative_omp
from tune_select.selection.random import Random, RandomOnce
from tune_select.selection.replays.base import ReplayTransform
from tune_select.selection.replays.composed import compose_histories, w_scores
from tune_select.selection.replays.named import REPLAY_NAMES, replay_named
from tune_select.selection.weighting import EarlyStopWarning

__all__ = [
    "REPLAY_NAMES",
    "SELECTOR_NAMES",
    "Craig",
    "EarlyStopWarning",
    "Entropy",
    "FacilityLocation",
    "Forgetting",
    "ForgettingEvents",
    "Full",
    "Glister",
    "GradMatch",
    "OmpSolution",
    "PerBatch",
    "PerClass",
    "Random",
    "RandomOnce",
    "ReplayTransform",
    "Selector",
    "Signals",
    "Subset",
    "check_request",
    "collect_signals",
    "compose_histories",
    "gradient_error",
    "gradient_sum",
    "greedy_facility_location",
    "mean_gradient",
    "nonnegative_omp",
    "random_like",
    "replay_named",
    "selector_named",
    "trials_own",
    "w_scores",
]
