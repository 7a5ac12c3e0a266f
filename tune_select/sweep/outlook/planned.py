"""Which trials a search will hand out, told before it runs: none that another stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ray.tune.search.variant_generator import generate_variants

from tune_select.arms import FULL_ARM, SEED_ARM, Arm, training_key
from tune_select.mappings import merged
from tune_select.scheduling.seed_progress import history_name
from tune_select.search.param_space import has_domains
from tune_select.sweep.cells import listed_points, shared_arms, without_repeats
from tune_select.sweep.plan import Plan

_LISTED = ("grid", "random")  # searchers whose points do not depend on results
_MOST_CELLS = 4000  # of a drawn space; of more, each counts, whether another stands for it or not


class Trainings:
    """Tells trials that train from those that another stands for, in their order.

    Args:
        plan: The plan of a sweep.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._shared = shared_arms(plan)
        self._seen: set[str] = set()

    def is_new(self, trial: Mapping[str, Any]) -> bool:
        """Whether no trial before this one was trained alike, where that spares a training.

        Args:
            trial: Its whole configuration, with its arm and training seed.
        """
        arm = str(trial["arm"])
        if arm not in self._shared:
            return True
        config = self._plan.config
        replays = arm in config.replay_arms()
        place = config.history or (self._plan.location("", "") if replays else None)
        key = f"{training_key(trial, history_name({**trial, 'history': place}))} "
        key += self._shared[arm]
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


def searched(plan: Plan) -> list[dict[str, Any]]:
    """Every trial that the search will hand out, seed trials first; rivals and promotions aside.

    Points that are not known beforehand are stood for by examples, one for each.
    """
    config = plan.config
    arms = [config.arm(name) for name in config.arm_names()]
    points = [merged(plan.base_config(), point) for point in planned_points(plan)]
    seeds = config.tune.seeds
    if config.tune.ladder is not None:
        sizes = config.tune.ladder.rules().sizes(len(points))
        own = plan.seed_configs("", "") if config.needs_seed() else []
        return own + [
            {**arm.on(point), "seed": seed}
            for arm, size in zip(arms, sizes, strict=True)
            for point in points[:size]
            for seed in seeds
        ]
    trials = [{**arm.on(point), "seed": seed} for point in points for arm in arms for seed in seeds]
    if not _stands_for_others(plan, len(trials)):
        return [*plan.seeds_to_run("", ""), *trials]
    trainings = Trainings(plan)
    return [*plan.seeds_to_run("", ""), *filter(trainings.is_new, trials)]


def rivals_trials(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each rival's name with each of its trials, if it stops none."""
    points = [merged(plan.base_config(), point) for point in planned_points(plan)]
    for rival in plan.config.rival_searches():
        for point in points:
            for seed in plan.config.tune.seeds:
                yield rival.name, {**Arm.of(FULL_ARM).on(point), "seed": seed}


def promoted(plan: Plan, trained: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Promotions that the search has not trained: as many as could be, whichever are chosen.

    Args:
        plan: The plan of a sweep.
        trained: What the search trains.
    """
    if not plan.config.promote:
        return []
    points = planned_points(plan)[: plan.config.promote]
    base, seed = plan.base_config(), plan.config.tune.seeds[0]
    chosen = [{**Arm.of(FULL_ARM).on(merged(base, point)), "seed": seed} for point in points]
    return without_repeats(chosen, {str(i): t for i, t in enumerate(trained)}, plan)[0]


def planned_trials(plan: Plan) -> dict[str, int]:
    """How many trials of each arm the search will hand out; seeds are the arm ``seed``.

    An asynchronous ladder sends up a few more, which were among the best when they were seen.
    """
    counts = Counter(str(trial["arm"]) for trial in searched(plan))
    known = plan.config.search_arms()
    return {arm: counts[arm] for arm in [SEED_ARM, *known] if counts[arm]}


def planned_points(plan: Plan) -> list[dict[str, Any]]:
    """The points of a search: those that it will try where they are known, else examples."""
    samples = plan.config.tune.num_samples
    if plan.continued is not None:
        more = plan.continued.earlier.more
        listed = plan.continued.new_among(plan.space.listed(), plan.base_config())
        return listed or [plan.space.example()] * more
    if plan.space.points:
        return list(plan.space.points) * samples
    if plan.space.define_by_run is not None or plan.config.tune.searcher not in _LISTED:
        return [plan.space.example()] * samples
    cells = len(plan.config.arm_names()) * len(plan.config.tune.seeds) * plan.num_samples
    if has_domains(plan.space.params) and cells <= _MOST_CELLS:
        # With its constants, which a dependent axis may look at.
        return [dict(point) for point in listed_points(plan, plan.param_space("", ""))]
    return [dict(point) for _, point in generate_variants(plan.space.params)] * samples


def _stands_for_others(plan: Plan, cells: int) -> bool:
    """Whether a point may be another's, as far as the points are known."""
    if plan.space.points:
        return True
    if plan.space.define_by_run is not None or plan.config.tune.searcher not in _LISTED:
        return False
    return cells <= _MOST_CELLS or not has_domains(plan.space.params)
