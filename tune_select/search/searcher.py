"""Any searcher behind the seed trials, seeing one arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.search import Searcher, SearchGenerator
from ray.tune.utils import flatten_dict

from tune_select.arms import point_of
from tune_select.search.crossing import CONFIGURATION
from tune_select.search.earlier import tell
from tune_select.search.feedback import Feedback
from tune_select.search.param_space import constants_of, domains_of
from tune_select.search.space import merged
from tune_select.search.trial_order import Exhausted, TrialOrder


class SeedFirstSearcher(Searcher):
    """Any searcher behind the seed trials, seeing one arm.

    Args:
        searcher: Proposes points.
        order: What to hand out when.
        space: The whole space; its domains are what ``searcher`` searches if it has no space yet.
        num_samples: Points to ask for; -1 for no end.
        primary_arm: The arm whose results ``searcher`` learns.
    """

    def __init__(
        self,
        searcher: Searcher,
        order: TrialOrder,
        *,
        space: Mapping[str, Any],
        num_samples: int,
        primary_arm: str,
    ) -> None:
        super().__init__(metric=searcher.metric, mode=searcher.mode)
        self.searcher = searcher
        self._order = order
        self._space = dict(space)
        self._num_samples = num_samples
        self._primary_arm = primary_arm
        self._feedback = Feedback(seeds=len(order.crossing.seeds))
        self._withheld = False  # whether the searcher, asked last, wanted to wait for results

    @property
    def metric(self) -> Any:
        """The inner searcher's metric."""
        return self.searcher.metric

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Give the inner searcher the metric and, unless it has one, the space."""
        domains = domains_of(self._space)
        taken = self.searcher.set_search_properties(metric, mode, domains, **spec)
        if self._order.earlier is not None and (taken or not domains):
            tell(self.searcher, domains, self._order.earlier.points)
        if taken:
            return True
        if domains:
            raise ValueError(
                f"the searcher {type(self.searcher).__name__} has a space of its own, so space may "
                f"hold constants only, but it searches {sorted(flatten_dict(domains))}"
            )
        return False

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Let a searcher that limits itself (BOHB) do so: it then counts points, not trials."""
        return bool(self.searcher.set_max_concurrency(max_concurrent))

    def suggest(self, trial_id: str) -> Any:
        """Overrides of the next trial, ``None`` when it must wait, or that there is none."""
        self._withheld = False

        def draw(drawn: int) -> Mapping[str, Any] | None:
            if 0 <= self._num_samples <= drawn:
                raise Exhausted
            point: Any = self.searcher.suggest(inner_id(drawn))
            self._withheld = point is None
            if point == Searcher.FINISHED:
                raise Exhausted
            if point is None:
                return None
            whole = merged(constants_of(self._space), point)
            self._tell_if_repeated(drawn, whole)
            return whole

        try:
            assignment = self._order.next(draw, eager=getattr(self.searcher, "foresees", False))
        except Exhausted:
            return Searcher.FINISHED
        if assignment is None:
            return None
        self._order.handed_out(trial_id, assignment)
        if assignment.config[self._order.crossing.arm_key] == self._primary_arm:
            self._feedback.expect(trial_id, assignment.point)
        constants = constants_of(self._space)
        return {
            key: value
            for key, value in assignment.config.items()
            if comes_whole(key, value) or key not in constants or constants[key] != value
        }

    def _tell_if_repeated(self, drawn: int, config: Mapping[str, Any]) -> None:
        """Answer a proposal with what an earlier search found there: it is not trained again."""
        earlier = self._order.earlier
        known = None if earlier is None else earlier.find(config)
        if known is not None:
            result = {name: known.value for name in self._metrics() if known.value is not None}
            self.searcher.on_trial_complete(inner_id(drawn), result=result or None)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Learn what seeds publish; tell the searcher of its own."""
        self._order.note_result(trial_id, result)
        point = self._feedback.point_of(trial_id)
        told = self._feedback.result(trial_id, result, self._metrics())
        if point is not None and told is not None:
            self.searcher.on_trial_result(inner_id(point), told)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn of an end; tell the searcher once all seeds of its point have ended."""
        self._order.note_end(trial_id, result, error=error)
        told = self._feedback.end(trial_id, result, self._metrics())
        if told is not None:
            point, mean = told
            self.searcher.on_trial_complete(
                inner_id(point), result=mean, error=mean is None and error
            )

    def on_pause(self, trial_id: str) -> None:
        """HyperBandForBOHB paused a trial."""
        point = self._feedback.point_of(trial_id)
        if point is not None and hasattr(self.searcher, "on_pause"):
            self.searcher.on_pause(inner_id(point))

    def on_unpause(self, trial_id: str) -> None:
        """HyperBandForBOHB lets a trial go on."""
        point = self._feedback.point_of(trial_id)
        if point is not None and hasattr(self.searcher, "on_unpause"):
            self.searcher.on_unpause(inner_id(point))

    def set_room(self, trials: int, histories: frozenset[str]) -> None:
        """How many replays may start beside running seeds, and whose; the scheduler says."""
        self._order.room, self._order.open = trials, histories

    def draw_no_more(self) -> None:
        """The points drawn so far are all; the scheduler says so, whose rule found them enough."""
        self._order.closed = True

    def seed_failed(self, trial_id: str) -> None:
        """A restored seed stays failed; called by the scheduler."""
        self._order.seed_failed(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Save the inner searcher; Tune saves our own state beside it."""
        self.searcher.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Restore the inner searcher."""
        self.searcher.restore(checkpoint_path)

    def get_state(self) -> dict[str, Any]:
        """What has been handed out, published and learnt."""
        return {name: getattr(self, name) for name in ("_order", "_feedback")}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.__dict__.update(state)
        self._order.forget_failures()

    def _metrics(self) -> list[str]:
        metric = self.metric
        return [] if metric is None else [metric] if isinstance(metric, str) else list(metric)


class SeedFirstSearchGenerator(SearchGenerator):
    """Runs a ``SeedFirstSearcher`` until it has finished: it counts points, and Tune trials.

    Args:
        searcher: The ``SeedFirstSearcher``, or a limiter around it.
        total: Trials in all, as far as known.
        constants: What trials share, so that it tells none from its siblings.
    """

    def __init__(self, searcher: Searcher, total: int, constants: Mapping[str, Any]) -> None:
        super().__init__(searcher)
        self._all_trials = total
        self._constants = flatten_dict(dict(constants))

    def create_trial_if_possible(self, experiment_spec: dict[str, Any]) -> Trial | None:
        """The next trial, named by what its point varies and not by all that we handed over."""
        trial: Trial | None = super().create_trial_if_possible(experiment_spec)
        if trial is not None:
            trial.evaluated_params = self._shown(trial.config)
        return trial

    def _shown(self, config: Mapping[str, Any]) -> dict[str, Any]:
        point = {key: value for key, value in point_of(config).items() if key != "history"}
        shown = {
            key: value
            for key, value in flatten_dict(point).items()
            if key not in self._constants or self._constants[key] != value
        }
        names = ("arm", "seed", CONFIGURATION)
        return {**shown, **{key: config[key] for key in names if key in config}}

    @property
    def total_samples(self) -> int:
        """Trials in all, as far as known."""
        return self._all_trials

    def is_finished(self) -> bool:
        """Whether everything is handed out."""
        return bool(self._finished)


def comes_whole(key: str, value: Any) -> bool:
    """Whether a value of a configuration is never merged with what the space holds under its key.

    Tune lays proposals over the constants of the space key by key, which would bring back what an
    arm has replaced inside a table.
    """
    return key == "history" or isinstance(value, Mapping)


def inner_id(point: int) -> str:
    """Under which id the inner searcher knows a point."""
    return f"point_{point:05d}"
