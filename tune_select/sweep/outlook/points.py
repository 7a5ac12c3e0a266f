"""Which configurations a search will try, or enough of them to stand for the others."""

from __future__ import annotations

from typing import Any

import optuna
from ray.tune.search.variant_generator import generate_variants

from tune_select.sweep.plan import Plan

_MOST_POINTS = 16  # of a random space; more are extrapolated


def configurations(plan: Plan) -> int:
    """How many configurations the search would try if nothing ends it."""
    if plan.continued is not None:
        return sample_points(plan)[1]
    points = plan.num_samples
    if plan.space.params and plan.config.tune.searcher in ("grid", "random"):
        points *= len(list(generate_variants(plan.space.params, random_state=0)))
    return points


def sample_points(plan: Plan) -> tuple[list[dict[str, Any]], int]:
    """Configurations of the space, and how many the sweep will try in all.

    A grid or a list is given whole; of other spaces so many are drawn that their mean holds.
    """
    space, samples = plan.space, plan.config.tune.num_samples
    if plan.continued is not None:
        samples = plan.continued.earlier.more
        if space.listed():
            new = plan.continued.new_among(space.listed(), plan.base_config())
            return new, len(new)
    if space.points:
        return list(space.points) * samples, len(space.points) * samples
    if space.define_by_run is not None:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        drawn = []
        for _ in range(min(samples, _MOST_POINTS)):
            trial = study.ask()
            constants = space.define_by_run(trial) or {}
            drawn.append({**trial.params, **constants})
        return drawn, samples
    cells = [dict(point) for _, point in generate_variants(space.params, random_state=0)]
    if plan.continued is not None and len(cells) > 1:
        return cells[:samples], samples
    if len(cells) > 1 or plan.config.tune.searcher == "grid":
        return cells * samples, len(cells) * samples
    drawn = cells + [
        dict(point)
        for seed in range(1, min(samples, _MOST_POINTS))
        for _, point in generate_variants(space.params, random_state=seed)
    ]
    return drawn, samples
