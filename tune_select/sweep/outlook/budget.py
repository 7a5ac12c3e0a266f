"""What a sweep will train, counted from its plan before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.search.variant_generator import generate_variants

from tune_select.arms import FULL_ARM, Arm, arm_of, training_key
from tune_select.mappings import merged
from tune_select.scheduling.seed_progress import history_name
from tune_select.search.param_space import has_domains
from tune_select.sweep.cells import shared_arms, without_repeats
from tune_select.sweep.ladder_config import LadderConfig
from tune_select.sweep.plan import Plan


@dataclass(frozen=True)
class TrainingBudget:
    """How much a sweep trains at the most: schedulers and time budgets stop trials before.

    Attributes:
        trials: Seed trials, the search's and the promoted ones.
        epochs: Of all trials together, however many examples an epoch has.
        full_epochs: The same in passes over the whole training set, which is what training costs;
            selections and selection passes come on top.
        evaluations: Times that a trial is evaluated on the validation split.
    """

    trials: int
    epochs: int
    full_epochs: float
    evaluations: int

    def __str__(self) -> str:
        return (
            f"{self.trials} trials, {self.epochs} epochs worth {self.full_epochs:.0f} on all the "
            f"examples, {self.evaluations} evaluations"
        )


def training_budget(plan: Plan) -> TrainingBudget | None:
    """Count a sweep's training; ``None`` where a trial's configuration does not say its epochs."""
    counts = [_of_trial(config) for config in _configs(plan)]
    if not counts or None in counts:
        return None
    epochs, full_epochs, evaluations = zip(*(count for count in counts if count), strict=True)
    return TrainingBudget(len(counts), sum(epochs), sum(full_epochs), sum(evaluations))


def _configs(plan: Plan) -> list[dict[str, Any]]:
    """Every trial that will run; a space without a list of points counts with an example."""
    config = plan.config
    arms = [config.arm(name) for name in config.arm_names()]
    base = plan.base_config()
    points = [merged(base, point) for point in _points(plan)]
    if config.tune.ladder is not None:
        return _configs_of_ladder(config.tune.ladder, arms, points, plan)
    shared, drawn = shared_arms(plan), _is_drawn(plan)
    trained: dict[str, dict[str, Any]] = {}
    for number, point in enumerate(points):
        for arm in arms:
            for seed in config.tune.seeds:
                trial = {**arm.on(point), "seed": seed}
                place = plan.location("", "") if arm.kind == "cached" else None
                key = f"{number} {arm.name} {seed}"
                if arm.name in shared and not drawn:
                    history = history_name({**trial, "history": config.history or place})
                    key = f"{training_key(trial, history)} {shared[arm.name]}"
                trained.setdefault(key, trial)
    seeds = plan.seeds_to_run("", "")
    return [*seeds, *trained.values(), *_promoted(plan, points, trained.values())]


def _promoted(
    plan: Plan, points: Sequence[dict[str, Any]], trained: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Promotions that the search has not trained: as many as could be, whichever are chosen."""
    seed = plan.config.tune.seeds[0]
    chosen = [
        {**Arm.of(FULL_ARM).on(point), "seed": seed} for point in points[: plan.config.promote]
    ]
    return without_repeats(chosen, {str(i): t for i, t in enumerate(trained)}, plan)[0]


def _is_drawn(plan: Plan) -> bool:
    """Whether points are drawn, so that each differs from the others as an example cannot."""
    if plan.space.points:
        return False
    drawn = plan.space.define_by_run is not None
    searcher = plan.config.tune.searcher
    return drawn or searcher not in ("grid", "random") or has_domains(plan.space.params)


def _configs_of_ladder(
    ladder: LadderConfig, arms: Sequence[Arm], points: list[dict[str, Any]], plan: Plan
) -> list[dict[str, Any]]:
    """What each rung trains, and each rival if it stops nothing.

    An asynchronous ladder sends up a few more, which were among the best when they were seen.
    """
    trials, size = [], len(points)
    for number, arm in enumerate(arms):
        trials += [arm.on(point) for point in points[:size]]
        size = -(-size // ladder.keep) if number < len(arms) - 2 else ladder.confirm
    for _ in plan.config.rivals:
        trials += [Arm.of(FULL_ARM).on(point) for point in points]
    seeds = plan.seed_configs("", "") if plan.config.needs_seed() else []
    return seeds + [trial for trial in trials for _ in plan.config.tune.seeds]


def _points(plan: Plan) -> list[dict[str, Any]]:
    samples = plan.config.tune.num_samples
    if plan.continued is not None:
        more = plan.continued.earlier.more
        listed = plan.continued.new_among(plan.space.listed(), plan.base_config())
        return listed or [plan.space.example()] * more
    if plan.space.points:
        return list(plan.space.points) * samples
    if plan.space.define_by_run is not None or plan.config.tune.searcher not in ("grid", "random"):
        return [plan.space.example()] * samples
    return [dict(point) for _, point in generate_variants(plan.space.params)] * samples


def _of_trial(config: Mapping[str, Any]) -> tuple[int, float, int] | None:
    """(epochs, passes over the training set, evaluations) of one trial."""
    arm = arm_of(config)
    if arm.plan is None:
        return None
    warm, epochs = arm.plan.warm_start_epochs, arm.plan.epochs
    share = arm.fraction
    if arm.kind == "mini_batch":
        share = arm.selection.settings.get(arm.selector, {}).get("keep", share)
    looks = config.get("evaluation") or {}  # a share of the seconds may come to every epoch
    every = looks.get("every") or (config.get("eval_every") if looks.get("share") is None else 1)
    evaluations = math.ceil(epochs / int(every or 1))
    return epochs, warm + (epochs - warm) * share, evaluations
