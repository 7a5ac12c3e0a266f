"""A sweep's ladder and its rivals as what ``tune.Tuner`` takes."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pandas as pd
from pyarrow.fs import FileType
from ray import tune
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    TrialScheduler,
)
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, SearchGenerator

from tune_select.arms import FULL_ARM
from tune_select.search.ladder import LADDER, STRATEGY, WEIGHTS_FOLDER, ladder
from tune_select.search.param_space import for_tuner
from tune_select.search.space import merged
from tune_select.storage import Folder
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.folder.strategies import Sessions, numbered, strategies, write_strategies
from tune_select.sweep.ladder_config import RivalConfig
from tune_select.sweep.plan import Plan

RIVAL = "rival"
"""Phase of a rival's trials in the tables."""

_RIVALS_FOLDER = "rivals/"


def rival_phase(name: str) -> str:
    """Where in the results folder a rival's Tune experiment lies."""
    return f"{_RIVALS_FOLDER}{name}"


def is_rival(phase: str) -> bool:
    """Whether a phase is a rival's."""
    return phase.startswith(_RIVALS_FOLDER)


def limited(config: SweepConfig, slots: int) -> int:
    """How many of the cluster's slots a sweep uses."""
    limit = config.tune.max_concurrent
    return slots if limit is None else min(slots, limit)


def finish_contest(plan: Plan, location: str, trials: pd.DataFrame) -> pd.DataFrame:
    """Write ``strategies.parquet``, and number the rivals' configurations as the ladder does.

    Args:
        plan: The plan of the sweep.
        location: The results folder.
        trials: Rows of all phases.

    Returns:
        The trials with their numbers.
    """
    ladder_rows = trials[trials["strategy"] == LADDER]
    parts = [ladder_rows]
    seen = ladder_rows
    for rival in plan.config.rival_searches():
        part = trials[trials["strategy"] == rival.name]
        if len(part):
            parts.append(numbered(part, seen, plan.space.axes))
            seen = pd.concat(parts, ignore_index=True)
    whole = pd.concat(parts, ignore_index=True)
    sessions = Sessions(location).read()
    frame = strategies(whole, sessions, metric=plan.metric, mode=plan.mode)
    write_strategies(location, frame)
    return whole


def drop_weights(location: str) -> None:
    """Delete what the trials of a finished warm ladder had left for each other.

    Args:
        location: The results folder.
    """
    folder = Folder.at(location)
    path = folder.file(WEIGHTS_FOLDER)
    if folder.filesystem.get_file_info(path).type == FileType.Directory:
        folder.filesystem.delete_dir(path)


def ladder_search(plan: Plan, root: str, store: str) -> tuple[Any, dict[str, Any]]:
    """The ladder's search algorithm and parameter space.

    Args:
        plan: The plan of a sweep with ``tune.ladder``.
        root: Where the sweep's histories lie, a path or URI.
        store: Name of the store actor through which rungs replay, where they do.
    """
    config = plan.config
    assert config.tune.ladder is not None
    return ladder(
        plan.searcher(),
        space=plan.param_space(root, store),
        seed_configs=plan.seed_configs(root, store) if config.needs_seed() else [],
        replay_arms=config.replay_arms() if config.needs_seed() else [],
        nearest_by=config.tune.nearest_by,
        rungs=[config.arm(name) for name in config.rungs()],
        rules=config.tune.ladder.rules(),
        metric=plan.metric,
        mode=plan.mode,
        seeds=config.tune.seeds,
        num_samples=plan.num_samples,
        max_concurrent=config.tune.max_concurrent,
        random_state=config.tune.seeds[0],
    )


def as_rival(plan: Plan, rival: RivalConfig) -> Plan:
    """The plan with a rival's searcher and scheduler in the ladder's place."""
    update = {"ladder": None, **rival.model_dump(exclude={"name"})}
    tune_config = plan.config.tune.model_copy(update=update)
    return replace(plan, config=plan.config.model_copy(update={"tune": tune_config}))


def rival_search(plan: Plan, rival: RivalConfig) -> tuple[tune.TuneConfig, dict[str, Any]]:
    """A plain Tuner's settings and space, as a user writes them: all the data, nothing of ours.

    Grid and random searches see the ladder's points, in its order, and repeat them for every
    training seed; a searcher draws as many points times training seeds as they do, its training
    seeds at random.

    Args:
        plan: The plan of a sweep with rivals.
        rival: Which.

    Raises:
        SweepError: The searcher or the scheduler is unknown, or does not fit.
    """
    own = as_rival(plan, rival)
    searching = own.config.tune
    seeds, limit = searching.seeds, searching.max_concurrent
    try:
        scheduler, searcher = own.scheduler(), own.searcher()
        base = _with_looks(own, scheduler, learns=searcher is not None)
    except ValueError as error:
        said = str(error).replace("tune.s", f"rivals.{rival.name}.s")  # scheduler, searcher
        raise SweepError(said) from None
    base = plan.config.arm(FULL_ARM).on(base) | {STRATEGY: rival.name}
    # Tune would end the rival over a report between two looks.
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    if searcher is None:
        several = len(seeds) > 1
        space = for_tuner(merged(base, plan.space.params))
        space["seed"] = tune.grid_search(seeds) if several else seeds[0]
        algorithm: Any = BasicVariantGenerator(
            random_state=seeds[0],
            max_concurrent=limit or 0,
            constant_grid_search=several,  # all training seeds of a sample at the same point
        )
        samples = searching.num_samples
    else:
        space = merged(base, plan.space.params) | {
            "seed": seeds[0] if len(seeds) == 1 else tune.choice(seeds)
        }
        samples = plan.num_samples * (len(seeds) if not plan.space.points else 1)
        limited = searcher if limit is None else ConcurrencyLimiter(searcher, limit)
        algorithm = SearchGenerator(limited)
    settings = tune.TuneConfig(
        metric=plan.metric,
        mode=plan.mode,
        search_alg=algorithm,
        scheduler=scheduler,
        num_samples=samples,
        time_budget_s=searching.time_budget_s,
        reuse_actors=True,
    )
    return settings, space


def _with_looks(plan: Plan, scheduler: TrialScheduler, *, learns: bool) -> dict[str, Any]:
    """A rival's base configuration, with the looks at the validation split that it needs.

    It pays for no others. Of Tune's schedulers, those that halve read a report at their milestones
    alone; others, and searchers that learn, read each one and fail where it has no metric.

    Args:
        plan: The plan of the rival: the sweep's, with its searcher and scheduler.
        scheduler: Its own.
        learns: Whether it has a searcher that is told of results.
    """
    halves = isinstance(scheduler, (AsyncHyperBandScheduler, HyperBandScheduler))
    if not learns and (halves or type(scheduler) is FIFOScheduler):
        return plan.base_config()
    each = plan.config.evaluation.model_copy(update={"every": 1, "share": None})
    base = replace(plan, config=plan.config.model_copy(update={"evaluation": each})).base_config()
    return base | ({"eval_every": 1} if "eval_every" in base else {})


def check_rungs_hold_classes(plan: Plan, dataset: Any) -> None:
    """Refuse a rung with fewer examples than there are classes.

    Args:
        plan: The plan of the sweep.
        dataset: What the trainable's ``load_dataset`` returned.

    Raises:
        SweepError: Names the rung and the smallest fraction that fits.
    """
    climb = plan.config.tune.ladder
    identity, classes = getattr(dataset, "identity", None), getattr(dataset, "classes", None)
    if climb is None or identity is None or not isinstance(classes, int):
        return
    for rung in climb.climbs():
        if rung.fraction is not None and round(rung.fraction * identity.size) < classes:
            least = -(-classes * 10_000 // identity.size) / 10_000
            raise SweepError(
                f"tune.ladder: rung {rung.name} of {identity.size} training examples "
                f"({identity.name}) is {round(rung.fraction * identity.size)}, fewer than its "
                f"{classes} classes: the smallest fraction that fits is {least:g}"
            )
