"""Grid and random sampling behind the seed trials."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Experiment, Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.search import BasicVariantGenerator
from ray.tune.search.variant_generator import _count_variants, format_vars
from ray.tune.utils import flatten_dict

from tune_select.search.crossing import Assignment
from tune_select.search.param_space import draw, searched_keys
from tune_select.search.trial_order import Exhausted, TrialOrder


class SeedFirstVariants(BasicVariantGenerator):
    """Grid and random sampling behind the seed trials.

    A ``BasicVariantGenerator``, so that Tune keeps many trials pending and PBT accepts it; lazy, so
    that neither a large grid nor ``num_samples=-1`` floods the driver while replays are held.

    Args:
        order: What to hand out when.
        num_samples: Samples per grid cell; -1 for no end.
        max_concurrent: Trials alive at once; 0 for no limit.
        seed: The seed of the sampling.
    """

    def __init__(
        self, order: TrialOrder, *, num_samples: int, max_concurrent: int, seed: int | None
    ) -> None:
        super().__init__(max_concurrent=max_concurrent, random_state=seed)
        self._order = order
        self._samples_left = sys.maxsize if num_samples == -1 else num_samples
        self._variants: deque[dict[str, Any]] = deque()
        self._spec: dict[str, Any] = {}
        self._parser = _make_parser()
        self._counter = 0

    def add_configurations(self, experiments: Any) -> None:
        """Take the space and the trainable of the one experiment."""
        (experiment,) = experiments if isinstance(experiments, list) else [experiments]
        assert isinstance(experiment, Experiment)
        self._spec = experiment.spec
        cells = _count_variants({"config": self._spec["config"], "num_samples": 1}, [])
        self._total_samples = self._order.total(cells * self._samples_left)

    def next_trial(self) -> Trial | None:
        """The next trial, or ``None`` when it must wait or there is none."""
        if self.is_finished():
            return None
        if 0 < self.max_concurrent <= len(self._live_trials):
            return None
        try:
            assignment = self._order.next(self._draw, eager=True)
        except Exhausted:
            self.set_finished()  # type: ignore[no-untyped-call]
            return None
        return None if assignment is None else self._trial(assignment)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Learn what seeds publish."""
        self._order.note_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn of an end."""
        super().on_trial_complete(trial_id, result, error)
        self._order.note_end(trial_id, result, error=error)

    def set_room(self, trials: int, histories: frozenset[str]) -> None:
        """How many replays may start beside running seeds, and whose; the scheduler says."""
        self._order.room, self._order.open = trials, histories

    def draw_no_more(self) -> None:
        """The points drawn so far are all; the scheduler says so, whose rule found them enough."""
        self._order.closed = True

    def seed_failed(self, trial_id: str) -> None:
        """A restored seed stays failed; called by the scheduler."""
        self._order.seed_failed(trial_id)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        super().set_state(state)  # type: ignore[no-untyped-call]
        self._order.forget_failures()

    def _draw(self, drawn: int) -> Mapping[str, Any]:
        if not self._variants:
            if self._samples_left <= 0:
                raise Exhausted
            self._samples_left -= 1
            self._variants.extend(draw(self._spec["config"], self._random_state))
        return self._variants.popleft()

    def _trial(self, assignment: Assignment) -> Trial:
        trial_id = f"{self._uuid_prefix}{self._counter:05d}"
        shown = shown_parameters(assignment, self._spec["config"])
        tag = f"{self._counter}_{format_vars({(key,): value for key, value in shown.items()})}"
        self._counter += 1
        trial: Trial = _create_trial_from_spec(
            {**self._spec, "config": assignment.config},
            self._parser,
            evaluated_params=shown,
            trial_id=trial_id,
            experiment_tag=tag,
        )
        self._live_trials.add(trial_id)
        self._order.handed_out(trial_id, assignment)
        return trial


def shown_parameters(assignment: Assignment, space: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a trial from its siblings, flat, for Tune's tables and folder names."""
    flat = flatten_dict(assignment.config)
    shown = {key: flat[key] for key in sorted(searched_keys(space)) if key in flat}
    for key in ("arm", "seed", "configuration"):
        if key in assignment.config:
            shown[key] = assignment.config[key]
    return shown
