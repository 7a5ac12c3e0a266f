"""What would go wrong with a ladder and its rivals once they run, found before."""

from __future__ import annotations

from ray.tune.schedulers import PopulationBasedTraining, PopulationBasedTrainingReplay

from tune_select.sweep.config import SweepError
from tune_select.sweep.ladder import rival_search
from tune_select.sweep.ladder_config import RIVALS, RivalConfig
from tune_select.sweep.plan import Plan

_USUAL_PROMOTIONS = (0, 1)  # nothing, and what stands in every resolved sweep


def check_ladder(plan: Plan) -> None:
    """Refuse what a ladder cannot do, and rivals that could not begin once it is over.

    A sweep that was begun by an older version is not asked: it goes on as it began.

    Args:
        plan: The plan of the sweep.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    climb = plan.config.tune.ladder
    if climb is None:
        return
    _check_sections(plan)
    _check_confirm(plan)
    for rival in plan.config.rival_searches():
        _check_rival(plan, rival)


def _check_sections(plan: Plan) -> None:
    config = plan.config
    if config.promote not in _USUAL_PROMOTIONS:
        raise SweepError(
            f"promote is {config.promote}, but tune.ladder trains its best on all the data itself: "
            f"leave promote out, and set tune.ladder.confirm: {config.promote}"
        )
    if config.tune.stop_when is not None:
        raise SweepError(
            "tune.stop_when ends a search of arms, but a ladder ends by what its rungs keep: leave "
            "it out, and lower tune.num_samples or set tune.time_budget_s"
        )


def _check_confirm(plan: Plan) -> None:
    """A rung holds what the one below it keeps, which may be fewer than are to be confirmed."""
    climb, tune = plan.config.tune.ladder, plan.config.tune
    assert climb is not None
    points = plan.num_samples * (1 if plan.space.points or plan.searcher() else plan.space.cells)
    *below, _ = climb.rules().sizes(points)
    if climb.confirm is not None and climb.confirm > below[-1]:
        name = climb.climbs()[-1].name
        raise SweepError(
            f"tune.ladder.confirm is {climb.confirm}, but of {points} configurations "
            f"(tune.num_samples={tune.num_samples}) rung {name} sees {below[-1]} "
            f"(tune.ladder.keep={climb.keep}): lower confirm or keep, or give more configurations"
        )


def _check_rival(plan: Plan, rival: RivalConfig) -> None:
    """Build a rival's Tuner, which names what does not fit; see what Tune would refuse later."""
    known = RIVALS.get(rival.name)
    if known is not None and known != rival == RivalConfig(name=rival.name):
        raise SweepError(
            f"rivals.{rival.name} says neither searcher nor scheduler, so it would be random "
            f"search under that name: write {rival.name} alone, or say what it is"
        )
    settings, _ = rival_search(plan, rival)
    population = (PopulationBasedTraining, PopulationBasedTrainingReplay)
    if isinstance(settings.scheduler, population) and rival.searcher not in ("random", "grid"):
        raise SweepError(
            f"rivals.{rival.name}.searcher is {rival.searcher!r}, but Tune runs scheduler "
            f"{rival.scheduler!r} with grid and random search alone: set searcher: random, or "
            "another scheduler"
        )
