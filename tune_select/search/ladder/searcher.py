"""Any searcher at the foot of a ladder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from tune_select.search.ladder.order import LadderOrder
from tune_select.search.searcher import SeedFirstSearcher, inner_id


class LadderSearcher(SeedFirstSearcher):
    """Any searcher at the foot of a ladder: what it proposes starts at the lowest rung.

    A searcher that learns is told one value for each configuration: how high it came and how many
    it leaves behind there (``Climb.standing``), as soon as it comes no higher in time to matter
    (``Climb.is_decided``). Its metric is
    kept by name; the values are rungs, not accuracies. A searcher that will propose nothing before
    it has learnt something is told of whoever stands lowest, and is the least likely to climb.

    Args:
        searcher: Proposes points.
        order: What to hand out when.
        space: The same as in ``SeedFirstSearcher``.
        num_samples: The same as there.
    """

    _order: LadderOrder

    def __init__(
        self,
        searcher: Searcher,
        order: LadderOrder,
        *,
        space: Mapping[str, Any],
        num_samples: int,
    ) -> None:
        super().__init__(searcher, order, space=space, num_samples=num_samples, primary_arm="")
        self._told: set[int] = set()

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """As ``SeedFirstSearcher``; rungs are judged, and evaluated, at their last epoch alone."""
        # Tune would end the run over a report without the metric.
        os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
        return super().set_search_properties(metric, mode, config, **spec)

    def suggest(self, trial_id: str) -> Any:
        """As ``SeedFirstSearcher.suggest``; one that waits for results gets what there is."""
        suggested = super().suggest(trial_id)
        while suggested is None and self._withheld:
            rest = [n for n in self._order.climb.resting() if n not in self._told]
            if not rest:
                break
            self._tell_of(min(rest, key=self._order.climb.standing))
            suggested = super().suggest(trial_id)
        return suggested

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Learn what seeds publish; what happens on the way up is nobody's business."""
        self._order.note_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn of an end, and tell the searcher of everybody who is decided now."""
        self._order.note_end(trial_id, result, error=error)
        if getattr(self.searcher, "foresees", False):
            return
        climb = self._order.climb
        for number in climb.entered[0]:
            if number not in self._told and climb.is_decided(number, self._num_samples):
                self._tell_of(number)

    def get_state(self) -> dict[str, Any]:
        """What has been handed out, published, seen by rungs and told."""
        return {**super().get_state(), "_told": self._told}

    def _tell_of(self, number: int) -> None:
        self._told.add(number)
        climb, point = self._order.climb, inner_id(self._order.drawing_of(number))
        if climb.failed(number):
            self.searcher.on_trial_complete(point, result=None, error=True)
            return
        sign = -1.0 if self.mode == "min" else 1.0
        result: dict[str, Any] = {"training_iteration": 1}
        result |= {name: sign * climb.standing(number) for name in self._metrics()}
        if hasattr(self.searcher, "on_pause"):
            # TuneBOHB learns of results with a budget alone, never of an end. Its model compares
            # within one budget; rungs are in the value already.
            self.searcher.on_trial_result(point, {**result, "hyperband_info": {"budget": 1.0}})
        self.searcher.on_trial_complete(point, result=result)
