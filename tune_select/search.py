"""Search algorithms that start with the seed trial and compare all arms on the same points."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.experiment import Experiment, Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.search import (
    BasicVariantGenerator,
    ConcurrencyLimiter,
    SearchAlgorithm,
    Searcher,
    SearchGenerator,
)
from ray.tune.search.sample import Domain
from ray.tune.search.variant_generator import _count_variants, format_vars, generate_variants
from ray.tune.utils import flatten_dict

from tune_select.feedback import Feedback
from tune_select.space import merged
from tune_select.trial_order import Assignment, Crossing, Exhausted, TrialOrder


def seed_first(
    search_alg: Searcher | None,
    *,
    space: Mapping[str, Any],
    seed_configs: Sequence[Mapping[str, Any]],
    arms: Sequence[str],
    seeds: Sequence[int] = (0,),
    num_samples: int = 1,
    primary_arm: str | None = None,
    replay_arms: Sequence[str] = ("cached",),
    max_concurrent: int | None = None,
    nearest_by: Sequence[str] = (),
    random_state: int | None = None,
    **crossing: Any,
) -> tuple[SearchAlgorithm, dict[str, Any]]:
    """What ``tune.Tuner`` needs to run seeds first, then every point with every arm and seed.

    The seed trials are handed out before anything else, whatever the searcher would propose. Then
    points are drawn one by one, each is crossed with ``arms`` and ``seeds``, and each such trial
    carries the same point and the same ``configuration`` number; seeds are numbered 0, 1, ... and
    a point equal to a seed's configuration shares its number. Replays are handed out once their
    history is complete, or while ``SeedReplayScheduler`` streams, as far as it finds room;
    baselines of grid and random spaces at once. A searcher is asked for nothing until a history is
    open, and is told only of the ``primary_arm``: of the mean over the training seeds.

    Give the result to Tune as it is; the counts and limits are inside, so leave
    ``TuneConfig.num_samples`` and ``TuneConfig.max_concurrent_trials`` at their defaults::

        search_alg, param_space = seed_first(None, space=..., seed_configs=[...], arms=[...])
        tune.Tuner(trainable, param_space=param_space,
                   tune_config=tune.TuneConfig(search_alg=search_alg,
                                               scheduler=SeedReplayScheduler(...)))

    Args:
        search_alg: ``None`` for Tune's own grid and random sampling (works with PBT), or any
            ``Searcher``: with a space of its own (define-by-run ones too), or without one, then it
            gets the domains of ``space``.
        space: The parameter space with all constants, without the keys ``arm``, ``seed`` and
            ``configuration``. With a searcher that has its own space: the constants.
        seed_configs: One whole trial configuration per seed trial, laid over the constants of
            ``space``; must give every searched key a value. Empty to replay finished histories.
        arms: Arms that every point is trained with.
        seeds: Training seeds that every arm of every point is trained with.
        num_samples: Points drawn from a searcher; samples per grid cell otherwise. -1: no end.
        primary_arm: The arm whose results steer the searcher; by default the first of ``arms``.
        replay_arms: Which of ``arms`` need a history.
        max_concurrent: Trials alive at once at the most, the seed included.
        nearest_by: Dotted keys: a replay whose history no seed writes takes the seed whose values
            of these keys are nearest. Empty: every replay must have its own.
        random_state: Of grid and random sampling.
        **crossing: Names of arms and keys that differ from the defaults, and ``history_of``; see
            ``trial_order.Crossing``.

    Returns:
        The ``search_alg`` for ``tune.TuneConfig`` and the ``param_space`` for ``tune.Tuner``.

    Raises:
        ValueError: A seed leaves a searched key without a value, ``space`` sets a key that is set
            here, ``primary_arm`` is not one of ``arms``, or arms, seeds or histories repeat.
    """
    order = TrialOrder(
        Crossing(
            seed_configs=[_seed_config(space, config) for config in seed_configs],
            arms=tuple(arms),
            seeds=tuple(seeds),
            replay_arms=tuple(replay_arms),
            seed_by=tuple(nearest_by),
            **crossing,
        )
    )
    _check_space(space, order.crossing)
    if num_samples == 0 or num_samples < -1:
        raise ValueError(f"num_samples must be at least 1, or -1 for no end, got {num_samples}")
    if search_alg is None:
        generator = SeedFirstVariants(
            order, num_samples=num_samples, max_concurrent=max_concurrent or 0, seed=random_state
        )
        return generator, dict(space)
    primary = primary_arm or arms[0]
    if primary not in arms:
        raise ValueError(f"primary_arm must be one of {list(arms)}, got {primary!r}")
    searcher: Searcher = SeedFirstSearcher(
        search_alg, order, space=space, num_samples=num_samples, primary_arm=primary
    )
    if max_concurrent is not None:
        searcher = ConcurrencyLimiter(searcher, max_concurrent=max_concurrent)
    # A trial's history comes whole from us: Tune would merge ours into the space's key by key.
    constants = {key: value for key, value in _constants(space).items() if key != "history"}
    return SeedFirstSearchGenerator(searcher, _total(order, num_samples)), constants


class SeedFirstVariants(BasicVariantGenerator):
    """Grid and random sampling behind the seed trials.

    A ``BasicVariantGenerator``, so that Tune keeps many trials pending and PBT accepts it; lazy, so
    that neither a large grid nor ``num_samples=-1`` floods the driver while replays are held.

    Args:
        order: What to hand out when.
        num_samples: Samples per grid cell; -1 for no end.
        max_concurrent: Trials alive at once; 0 for no limit.
        seed: Of the sampling.
    """

    def __init__(
        self, order: TrialOrder, *, num_samples: int, max_concurrent: int, seed: int | None
    ) -> None:
        super().__init__(max_concurrent=max_concurrent, random_state=seed)
        self._order = order
        self._samples_left = sys.maxsize if num_samples == -1 else num_samples
        self._variants: deque[dict[str, Any]] = deque()
        self._spec: dict[str, Any] = {}
        self._counter = 0

    def add_configurations(self, experiments: Any) -> None:
        """Take the space and the trainable of the one experiment."""
        (experiment,) = experiments if isinstance(experiments, list) else [experiments]
        assert isinstance(experiment, Experiment)
        self._spec = experiment.spec
        cells = _count_variants({"config": self._spec["config"], "num_samples": 1}, [])
        self._total_samples = _total(self._order, cells * self._samples_left)

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

    def set_room(self, trials: int) -> None:
        """How many replays may start beside running seeds; called by the scheduler."""
        self._order.room = trials

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
            variants = generate_variants(
                {"config": self._spec["config"]}, random_state=self._random_state
            )
            self._variants.extend(variant["config"] for _, variant in variants)
        return self._variants.popleft()

    def _trial(self, assignment: Assignment) -> Trial:
        trial_id = f"{self._uuid_prefix}{self._counter:05d}"
        shown = _shown(assignment, self._spec["config"])
        tag = f"{self._counter}_{format_vars({(key,): value for key, value in shown.items()})}"
        self._counter += 1
        trial: Trial = _create_trial_from_spec(
            {**self._spec, "config": assignment.config},
            _make_parser(),
            evaluated_params=shown,
            trial_id=trial_id,
            experiment_tag=tag,
        )
        self._live_trials.add(trial_id)
        self._order.handed_out(trial_id, assignment)
        return trial


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

    @property
    def metric(self) -> Any:
        """The inner searcher's metric."""
        return self.searcher.metric

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Give the inner searcher the metric and, unless it has one, the space."""
        domains = _domains(self._space)
        if self.searcher.set_search_properties(metric, mode, domains, **spec):
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

        def draw(drawn: int) -> Mapping[str, Any] | None:
            if 0 <= self._num_samples <= drawn:
                raise Exhausted
            point: Any = self.searcher.suggest(_inner_id(drawn))
            if point == Searcher.FINISHED:
                raise Exhausted
            return None if point is None else merged(_constants(self._space), point)

        try:
            assignment = self._order.next(draw, eager=False)
        except Exhausted:
            return Searcher.FINISHED
        if assignment is None:
            return None
        self._order.handed_out(trial_id, assignment)
        if assignment.config[self._order.crossing.arm_key] == self._primary_arm:
            self._feedback.expect(trial_id, assignment.point)
        constants = _constants(self._space)
        return {
            key: value
            for key, value in assignment.config.items()
            if key == "history" or key not in constants or constants[key] != value
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Learn what seeds publish; tell the searcher of its own."""
        self._order.note_result(trial_id, result)
        point = self._feedback.point_of(trial_id)
        told = self._feedback.result(trial_id, result, self._metrics())
        if point is not None and told is not None:
            self.searcher.on_trial_result(_inner_id(point), told)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn of an end; tell the searcher once all seeds of its point have ended."""
        self._order.note_end(trial_id, result, error=error)
        told = self._feedback.end(trial_id, result, self._metrics())
        if told is not None:
            point, mean = told
            self.searcher.on_trial_complete(
                _inner_id(point), result=mean, error=mean is None and error
            )

    def on_pause(self, trial_id: str) -> None:
        """HyperBandForBOHB paused a trial."""
        point = self._feedback.point_of(trial_id)
        if point is not None and hasattr(self.searcher, "on_pause"):
            self.searcher.on_pause(_inner_id(point))

    def on_unpause(self, trial_id: str) -> None:
        """HyperBandForBOHB lets a trial go on."""
        point = self._feedback.point_of(trial_id)
        if point is not None and hasattr(self.searcher, "on_unpause"):
            self.searcher.on_unpause(_inner_id(point))

    def set_room(self, trials: int) -> None:
        """How many replays may start beside running seeds; called by the scheduler."""
        self._order.room = trials

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
    """Runs a ``SeedFirstSearcher`` until it has finished: it counts points, and Tune trials."""

    def __init__(self, searcher: Searcher, total: int) -> None:
        super().__init__(searcher)
        self._all_trials = total

    @property
    def total_samples(self) -> int:
        """Trials in all, as far as known."""
        return self._all_trials

    def is_finished(self) -> bool:
        """Whether everything is handed out."""
        return bool(self._finished)


def _inner_id(point: int) -> str:
    """Under which id the inner searcher knows a point."""
    return f"point_{point:05d}"


def _total(order: TrialOrder, points: int) -> int:
    crossing = order.crossing
    each = len(crossing.arms) * len(crossing.seeds)
    if points < 0 or points > sys.maxsize // each - len(crossing.seed_configs):
        return sys.maxsize
    return len(crossing.seed_configs) + points * each


def _varies(value: Any) -> bool:
    return isinstance(value, Domain) or (isinstance(value, Mapping) and "grid_search" in value)


def _split(space: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A nested space as its domains and its constants."""
    domains, constants = {}, {}
    for key, value in space.items():
        if _varies(value):
            domains[key] = value
        elif isinstance(value, Mapping):
            inner_domains, inner_constants = _split(value)
            if inner_domains:
                domains[key] = inner_domains
            if inner_constants or not inner_domains:
                constants[key] = inner_constants
        else:
            constants[key] = value
    return domains, constants


def _domains(space: Mapping[str, Any]) -> dict[str, Any]:
    return _split(space)[0]


def _constants(space: Mapping[str, Any]) -> dict[str, Any]:
    return _split(space)[1]


def _seed_config(space: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """A seed's whole configuration.

    Raises:
        ValueError: A searched key has no value in it.
    """
    searched = flatten_dict(_domains(space))
    given = flatten_dict(dict(config))
    searched_keys = {key.split("/grid_search")[0] for key in searched}
    lacking = sorted(key for key in searched_keys if key not in given and not _under(key, given))
    if lacking:
        raise ValueError(
            f"the seed trial needs a value for every searched key, and has none for {lacking}: "
            "give one in its configuration"
        )
    whole = merged(_constants(space), config)
    if "history" in config:
        whole["history"] = config["history"]
    return whole


def _under(key: str, given: Mapping[str, Any]) -> bool:
    return any(other.startswith(f"{key}/") for other in given)


def _check_space(space: Mapping[str, Any], crossing: Crossing) -> None:
    reserved = {crossing.arm_key, "configuration"} | (
        {crossing.seed_key} if _varies(space.get(crossing.seed_key)) else set()
    )
    taken = sorted(reserved & set(space))
    if taken:
        raise ValueError(f"space sets {taken}, which are set for every trial: use arms and seeds")


def _shown(assignment: Assignment, space: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a trial from its siblings, flat, for Tune's tables and folder names."""
    searched = {key.split("/grid_search")[0] for key in flatten_dict(_domains(space))}
    flat = flatten_dict(assignment.config)
    shown = {key: flat[key] for key in sorted(searched) if key in flat}
    for key in ("arm", "seed", "configuration"):
        if key in assignment.config:
            shown[key] = assignment.config[key]
    return shown
