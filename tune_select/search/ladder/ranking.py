"""Which of a rung's configurations are its best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
        scores: By number of the configuration.
        by: ``both``, ``accuracy`` (the metric, whatever the task's is) or ``loss``.
    """
    metric = _ranks({number: -score.metric for number, score in scores.items()})
    loss = _ranks({number: score.loss for number, score in scores.items()})
    if all(math.isnan(score.loss) for score in scores.values()):
        loss = metric
    place = {
        "accuracy": metric,
        "loss": loss,
        "both": {number: metric[number] + loss[number] for number in scores},
    }[by]

    def order(number: int) -> tuple[bool, float, float, int]:
        return scores[number].failed, place[number], metric[number], number

    return sorted(scores, key=order)


def _ranks(costs: Mapping[int, float]) -> dict[int, float]:
    """Mean ranks from 0, smallest first, so that equals share theirs; NaN counts as the largest."""
    filled = {number: math.inf if math.isnan(cost) else cost for number, cost in costs.items()}
    order = sorted(filled, key=lambda number: filled[number])
    ranks: dict[int, float] = {}
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and filled[order[end]] == filled[order[start]]:
            end += 1
        ranks |= dict.fromkeys(order[start:end], (start + end - 1) / 2)
        start = end
    return ranks
