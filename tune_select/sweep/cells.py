"""Cells of a sweep that another trial stands for: no training is done twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tune_select.arms import SEED_ARM, point_of, training_key
from tune_select.scheduling.seed_progress import history_name
from tune_select.search.crossing import CONFIGURATION
from tune_select.search.ladder.sampled import SampledPoints
from tune_select.search.param_space import constants_of
from tune_select.search.seed_first import seeded_crossing
from tune_select.search.space import merged
from tune_select.search.trial_order import TrialOrder
from tune_select.sweep.folder.shared import Cell
from tune_select.sweep.plan import Plan

_LISTED = ("grid", "random")  # searchers whose points do not depend on results


def shared_arms(plan: Plan) -> dict[str, str]:
    """By arm of which no training is done twice: what its trials run on.

    Whatever learns from an arm's trials must get one of its own for each point: a searcher and a
    rule to stop by from the primary arm, a scheduler from replays. A ladder's rungs differ, and a
    search that goes on from finished ones has trained their points already.
    """
    config = plan.config
    if config.tune.ladder is not None or plan.continued is not None:
        return {}
    alone = set() if config.tune.scheduler == "fifo" else set(config.replay_arms())
    if config.tune.searcher not in _LISTED or config.tune.stop_when is not None:
        alone.add(config.primary_arm())
    own = {arm.name: arm.resources for arm in config.named_arms()}
    return {
        arm: json.dumps(own.get(arm) or config.resources, sort_keys=True)
        for arm in config.search_arms()
        if arm not in alone
    }


def crossed_with(plan: Plan, root: str, store: str) -> dict[str, Any]:
    """What a search crosses its points with, as ``seed_first`` and ``seeded_crossing`` take it.

    Args:
        plan: The plan of the sweep.
        root: Where its histories lie, a path or URI.
        store: Name of the store actor.
    """
    config = plan.config
    searched = config.search_arms()
    return {
        "space": plan.param_space(root, store),
        "seed_configs": plan.seed_configs(root, store) if config.needs_seed() else [],
        "arms": [config.arm(name) for name in searched],
        "seeds": config.tune.seeds,
        "replay_arms": [arm for arm in config.replay_arms() if arm in searched]
        if config.needs_seed()
        else [],
        "seed_by": config.tune.nearest_by,
        "share": shared_arms(plan),
    }


def shared_cells(plan: Plan, root: str, trained: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
    """The cells of a search that were not trained, because a trial of another cell was.

    Found again from the plan, so that neither a kill nor a resumed search loses one: a grid, a list
    and random sampling give the same points in the same order, and a searcher that learns has a
    trial of its own at every point.

    Args:
        plan: The plan of the sweep.
        root: Where its histories lie now, a path or URI.
        trained: Configurations of the search's trials, by trial id.
    """
    if not shared_arms(plan):
        return []
    crossed = crossed_with(plan, root, "")
    space = crossed.pop("space")
    order = TrialOrder(seeded_crossing(space, crossed.pop("seed_configs"), **crossed))
    own = {trial: _at(root, c) for trial, c in trained.items() if c.get("arm") != SEED_ARM}
    there = {_cell(config) for config in own.values()}
    last = max((number for number, _, _ in there), default=-1)
    first: dict[str | None, str] = {}
    for trial, config in own.items():
        first.setdefault(order.crossing.training_of(config), trial)
    first.pop(None, None)
    cells = []
    for point in _crossed(plan, order, space, own.values()):
        new = [config for config in point if _cell(config) not in there]
        same = [first.get(order.crossing.training_of(config)) for config in new]
        if new and _cell(new[0])[0] > last and None in same:
            break  # a search that ended early never came to this point
        cells += [Cell(c, trial) for c, trial in zip(new, same, strict=True) if trial is not None]
    return cells


def without_repeats(
    planned: Iterable[dict[str, Any]], trained: Mapping[str, Mapping[str, Any]], plan: Plan
) -> tuple[list[dict[str, Any]], list[Cell]]:
    """Trainings planned behind a search, apart from those that have been done.

    Args:
        planned: Configurations.
        trained: Those of trials that have finished, by trial id.
        plan: The plan of the sweep.

    Returns:
        What is left to train, and the cells that trials of ``trained`` stand for.
    """
    own = {arm.name: arm.resources for arm in plan.config.named_arms()}

    def training(config: Mapping[str, Any]) -> tuple[str, str]:
        runs_on = own.get(str(config["arm"])) or plan.config.resources
        return training_key(config, history_name(config)), json.dumps(runs_on, sort_keys=True)

    there: dict[tuple[str, str], str] = {}
    for trial, config in trained.items():
        if config.get("arm") != SEED_ARM:
            there.setdefault(training(config), trial)
    left, cells = [], []
    for config in planned:
        if training(config) in there:
            cells.append(Cell(config, there[training(config)]))
        else:
            left.append(config)
    return left, cells


def _at(root: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as if its folder had never been moved."""
    place = config.get("history")
    if not isinstance(place, Mapping) or "root" not in place:
        return dict(config)
    return {**config, "history": {**place, "root": root}}


def _crossed(
    plan: Plan, order: TrialOrder, space: Mapping[str, Any], trained: Iterable[Mapping[str, Any]]
) -> Iterator[list[dict[str, Any]]]:
    """Configurations of all cells, point by point."""
    if plan.config.tune.searcher in _LISTED:
        for point in listed_points(plan, space):
            yield [job.config for job in order.cross(point)]
        return
    seen: set[int] = set()
    for config in trained:
        number = int(config[CONFIGURATION])
        if config.get("arm") == SEED_ARM or number in seen:
            continue
        seen.add(number)
        point = {k: v for k, v in point_of(config).items() if k not in (CONFIGURATION, "seed")}
        yield [{**job.config, CONFIGURATION: number} for job in order.cross(point)]


def listed_points(plan: Plan, space: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The points of a search that does not learn, in its order.

    Args:
        plan: The plan of the sweep.
        space: Its whole parameter space.
    """
    samples = plan.config.tune.num_samples
    if plan.space.points:
        for point in list(plan.space.points) * samples:
            yield merged(constants_of(space), point)
        return
    drawn = SampledPoints(space, num_samples=samples, random_state=plan.config.tune.seeds[0])
    for _ in range(drawn.total):
        yield drawn.suggest("")


def _cell(config: Mapping[str, Any]) -> tuple[int, str, Any]:
    return int(config[CONFIGURATION]), str(config["arm"]), config["seed"]
