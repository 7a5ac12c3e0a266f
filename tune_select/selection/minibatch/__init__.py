"""Selection inside the mini-batch: a forward pass over a batch, a backward pass over part of it."""

from tune_select.selection.minibatch.ada_boost import AdaBoost
from tune_select.selection.minibatch.ada_selection import AdaSelection
from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    MiniBatchSelector,
    Plan,
    Progress,
)
from tune_select.selection.minibatch.big_loss import BigLoss
from tune_select.selection.minibatch.coreset import CoresetExtremes, CoresetMean
from tune_select.selection.minibatch.gradient_matching import GradientMatching
from tune_select.selection.minibatch.gradient_norm import GradientNorm
from tune_select.selection.minibatch.gram_omp import gram_omp
from tune_select.selection.minibatch.kath18 import Kath18
from tune_select.selection.minibatch.last_layer import gradient_gram, gradient_norms
from tune_select.selection.minibatch.loss_history import LossHistory
from tune_select.selection.minibatch.names import (
    SELECTOR_NAMES,
    is_selector_name,
    selector_named,
)
from tune_select.selection.minibatch.scheduled import Scheduled
from tune_select.selection.minibatch.scoring import ScoringSelector
from tune_select.selection.minibatch.selective_backprop import SelectiveBackprop
from tune_select.selection.minibatch.selective_backprop_fixed import SelectiveBackpropFixed
from tune_select.selection.minibatch.small_loss import SmallLoss
from tune_select.selection.minibatch.stale import Stale
from tune_select.selection.minibatch.uniform import Uniform

__all__ = [
    "SELECTOR_NAMES",
    "AdaBoost",
    "AdaSelection",
    "BatchSignals",
    "BigLoss",
    "Choice",
    "CoresetExtremes",
    "CoresetMean",
    "GradientMatching",
    "GradientNorm",
    "Kath18",
    "LossHistory",
    "MiniBatchSelector",
    "Plan",
    "Progress",
    "Scheduled",
    "ScoringSelector",
    "SelectiveBackprop",
    "SelectiveBackpropFixed",
    "SmallLoss",
    "Stale",
    "Uniform",
    "gradient_gram",
    "gradient_norms",
    "gram_omp",
    "is_selector_name",
    "selector_named",
]
