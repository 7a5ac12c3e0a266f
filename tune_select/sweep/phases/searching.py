"""The search of a sweep: its seeds, then each point once for every arm; or a ladder's contest."""

from __future__ import annotations

from typing import Any

from ray import tune

from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.scheduling.seed_progress import history_name
from tune_select.search.earlier import Earlier
from tune_select.search.ladder import LADDER
from tune_select.search.seed_first import seed_first
from tune_select.sweep.cells import crossed_with
from tune_select.sweep.continuing.joined import with_histories
from tune_select.sweep.folder.strategies import Sessions
from tune_select.sweep.interruption import stop_requested
from tune_select.sweep.ladder import ladder_search, limited, rival_phase, rival_search
from tune_select.sweep.outlook.points import configurations
from tune_select.sweep.outlook.stop_rule import StopRule
from tune_select.sweep.phases.experiments import Experiments
from tune_select.sweep.phases.follow_up import SEARCH
from tune_select.sweep.plan import Plan


def store_name(plan: Plan) -> str:
    """The name of the actor through which a sweep's trials wait for histories."""
    return f"tune-select-{plan.config.sweep_id}"


def search(plan: Plan, experiments: Experiments, slots: int) -> None:
    """Search, or let go on what there is of the search; the store must run where trials need it.

    Args:
        plan: The plan of the sweep.
        experiments: Runs the trials.
        slots: How many of them the cluster runs at once.
    """
    if plan.config.tune.ladder is None:
        _search_once(plan, experiments, slots)
    else:
        _contest(plan, experiments, slots)


def all_points(plan: Plan) -> int:
    """Configurations that the search would have tried in the end, earlier ones among them."""
    before = plan.continued
    return configurations(plan) + (0 if before is None else len(before.earlier.points))


def _search_once(plan: Plan, experiments: Experiments, slots: int) -> None:
    tuned, root = plan.config.tune, experiments.folder.history_root
    crossed = crossed_with(plan, root, store_name(plan))
    algorithm, space = seed_first(
        plan.searcher(),
        num_samples=plan.num_samples,
        primary_arm=plan.config.primary_arm(),
        max_concurrent=_max_concurrent(plan, slots),
        nearest_by=crossed.pop("seed_by"),
        random_state=tuned.seeds[0],
        earlier=_earlier(plan, crossed["seed_configs"]),
        **crossed,
    )
    scheduler = SeedReplayScheduler(
        plan.scheduler(),
        replay_arms=tuple(plan.config.replay_arms()),
        stream=tuned.stream,
        stop_requested=stop_requested,
        enough=_stop_rule(plan),
    )
    experiments.fit(SEARCH, space, _settings(plan, algorithm, scheduler))


def _contest(plan: Plan, experiments: Experiments, slots: int) -> None:
    """The ladder, then each rival by itself, on the same slots."""
    folder = experiments.folder
    sessions, used = Sessions(folder.location), limited(plan.config, slots)
    algorithm, space = ladder_search(plan, folder.history_root, store_name(plan))
    scheduler = SeedReplayScheduler(
        replay_arms=tuple(plan.config.replay_arms()),
        stream=plan.config.tune.stream,
        stop_requested=stop_requested,
    )
    with sessions.running(LADDER, used):
        experiments.fit(SEARCH, space, _settings(plan, algorithm, scheduler))
    for rival in plan.config.rival_searches():
        settings, space = rival_search(plan, rival)
        with sessions.running(rival.name, used):
            experiments.fit(rival_phase(rival.name), space, settings)


def _settings(plan: Plan, algorithm: Any, scheduler: SeedReplayScheduler) -> tune.TuneConfig:
    return tune.TuneConfig(
        metric=plan.metric,
        mode=plan.mode,
        search_alg=algorithm,
        scheduler=scheduler,
        reuse_actors=True,
    )


def _earlier(plan: Plan, seeds: list[dict[str, Any]]) -> Earlier | None:
    """What the search goes on from; a seed whose history is left by it does not run again."""
    found = plan.continued
    if found is None:
        return None
    there = [seed for seed in seeds if plan.history_of(seed) in found.histories]
    return with_histories(found, frozenset(history_name(seed) for seed in there))


def _stop_rule(plan: Plan) -> StopRule | None:
    rule = plan.config.tune.stop_when
    if rule is None:
        return None
    found = StopRule(
        plan.metric,
        plan.mode,
        plan.config.primary_arm(),
        tuple(plan.config.tune.seeds),
        all_points(plan),
        rule.change,
        rule.chance,
    )
    before = plan.continued
    for row in () if before is None else before.ended(found.arm):
        found.note(row, row)
    return found


def _max_concurrent(plan: Plan, slots: int) -> int | None:
    """What may be alive at once: with a rule to stop by, points are not drawn far ahead."""
    given = plan.config.tune.max_concurrent
    if given is not None or plan.config.tune.stop_when is None:
        return given
    return slots + 1
