"""Which of a rung's configurations are its best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
RankBy = Literal["both", "accuracy", "loss"]


@dataclass(frozen=True)
class Score:
    """What a rung saw of a configuration: means over its training seeds.

    Attributes:
        metric: The validation metric, larger is better; NaN where every training seed failed.
        loss: The validation loss; NaN where none was reported.
    """

    metric: float
    loss: float = math.nan

    @property
    def failed(self) -> bool:
        """Whether no training seed left a finite metric."""
        return not math.isfinite(self.metric)


def ranked(scores: Mapping[int, Score], by: RankBy) -> list[int]:
    """Configurations from best to worst.

    ``both`` sums the ranks by metric and by loss, for no single score is safe: a full training that
    overfits has a rising loss, and accuracies of few validation examples are coarse. Where no loss
    was reported, the metric alone decides. Failed configurations come last; equals in the order of
    the metric, then of their numbers.

    Args:
        scores: The scores by number of the configuration.
        by: ``both``, ``accuracy`` (the metric, whatever the task's is) or ``loss``.
    """
    numbers = np.fromiter(scores, dtype=np.int64, count=len(scores))
    metric = np.array([score.metric for score in scores.values()], dtype=float)
    loss = np.array([score.loss for score in scores.values()], dtype=float)
    failed = ~np.isfinite(metric)
    place = {"accuracy": _ranks(-metric), "loss": _ranks(loss)}
    if np.isnan(loss).all():
        place["loss"] = place["accuracy"]
    place["both"] = place["accuracy"] + place["loss"]
    order = np.lexsort((numbers, place["accuracy"], place[by], failed))
    return [int(number) for number in numbers[order]]


def stays_above(one: Score, other: Score, by: RankBy) -> bool:
    """Whether ``ranked`` puts one above another whatever else there is to rank.

    A sum of ranks may turn when more are seen, unless one is as good by both scores and better by
    one of them: whoever comes between in the order of a score then only lowers the other. Equals,
    which their numbers decide, are not told.

    Args:
        one: The score of the configuration that is asked about.
        other: The score of the one that it would stay above.
        by: What ranks.
    """
    if one.failed or other.failed:
        return other.failed and not one.failed
    (metric, loss), (others_metric, others_loss) = _filled(one), _filled(other)
    if by == "accuracy":
        return metric > others_metric
    if by == "loss":
        return (-loss, metric) > (-others_loss, others_metric)
    better = metric > others_metric or loss < others_loss
    return better and metric >= others_metric and loss <= others_loss


def _filled(score: Score) -> tuple[float, float]:
    return score.metric, math.inf if math.isnan(score.loss) else score.loss


def _ranks(costs: Array) -> Array:
    """Mean ranks from 0, smallest first, so that equals share theirs; NaN counts as the largest."""
    filled = np.where(np.isnan(costs), np.inf, costs)
    _, group, count = np.unique(filled, return_inverse=True, return_counts=True)
    last = count.cumsum() - 1  # of each group of equals
    return np.asarray((last - (count - 1) / 2)[group])
