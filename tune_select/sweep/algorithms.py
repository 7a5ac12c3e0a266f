"""The searcher and the base scheduler that a sweep names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_select.imports import import_string
from tune_select.search.fixed_points import FixedPoints
from tune_select.search.space import Space, resolve_space
from tune_select.sweep.config import SweepConfig
from tune_select.users_code import users_code
from tune_select.wording import shown

_SCHEDULERS = {
    "fifo": "ray.tune.schedulers.FIFOScheduler",
    "asha": "ray.tune.schedulers.ASHAScheduler",
    "hyperband": "ray.tune.schedulers.HyperBandScheduler",
    "median": "ray.tune.schedulers.MedianStoppingRule",
    "pbt": "ray.tune.schedulers.PopulationBasedTraining",
}
_SEARCHERS = {"optuna": "ray.tune.search.optuna.OptunaSearch"}
VARIANTS = ("grid", "random")
"""Names of Tune's own variant generator, which needs no searcher."""


def make_scheduler(config: SweepConfig) -> TrialScheduler:
    """The base scheduler of the replays, with ``epoch`` as its clock.

    Raises:
        ValueError: The name is unknown or an option does not fit.
    """
    tune_config = config.tune
    cls = _named(tune_config.scheduler, _SCHEDULERS, "tune.scheduler")
    options = dict(tune_config.scheduler_options)
    if tune_config.scheduler != "fifo":
        options.setdefault("time_attr", "epoch")  # waiting reports count as training iterations
    if tune_config.scheduler in ("asha", "hyperband") and "max_epochs" in config.train:
        options.setdefault("max_t", config.train["max_epochs"])
    where = f"tune.scheduler_options for {tune_config.scheduler}"
    if tune_config.scheduler == "pbt":
        mutations = options.get("hyperparam_mutations", {})
        if not isinstance(mutations, Mapping):
            raise ValueError(
                f"{where}: hyperparam_mutations must be a mapping, got {shown(mutations)}"
            )
        options["hyperparam_mutations"] = {
            key: resolve_space({key: value}).params[key] for key, value in mutations.items()
        }
    with users_code(f"{where}: {shown(options)}"):
        scheduler = cls(**options)
    if not isinstance(scheduler, TrialScheduler):
        raise ValueError(
            f"tune.scheduler is {tune_config.scheduler!r}, which is not a TrialScheduler"
        )
    return scheduler


def make_searcher(
    config: SweepConfig, space: Space, metric: str, mode: str, *, drawn: int = 0
) -> Searcher | None:
    """The searcher of the space, or ``None`` for Tune's variant generator.

    Args:
        config: The sweep.
        space: What it searches, resolved.
        metric: The validation metric that it optimises.
        mode: ``max`` or ``min``.
        drawn: Points that an earlier search has drawn from the same space.

    Raises:
        ValueError: The name is unknown, or the space does not fit it.
    """
    tune_config = config.tune
    if tune_config.searcher in VARIANTS:
        if space.points:
            return FixedPoints(list(space.points) * tune_config.num_samples)
        if space.define_by_run is not None:
            raise ValueError(
                f"space {config.space!r} is define-by-run, which the searcher "
                f"{tune_config.searcher!r} cannot run; set tune.searcher: optuna"
            )
        return None
    if space.points:
        raise ValueError(
            f"space lists its configurations, which leaves the searcher {tune_config.searcher!r} "
            "nothing to search; set tune.searcher: grid, or give ranges"
        )
    cls = _named(tune_config.searcher, _SEARCHERS, "tune.searcher")
    options = dict(tune_config.searcher_options)
    if tune_config.searcher == "optuna":
        options.setdefault("seed", config.tune.seeds[0] + drawn)
    if space.define_by_run is not None:
        options["space"] = space.define_by_run
    options |= {"metric": metric, "mode": mode}
    with users_code(f"tune.searcher_options for {tune_config.searcher}: {shown(options)}"):
        searcher = cls(**options)
    if not isinstance(searcher, Searcher):
        raise ValueError(f"tune.searcher is {tune_config.searcher!r}, which is not a Searcher")
    return searcher


def _named(name: str, known: Mapping[str, str], field: str) -> Any:
    choices = [*(VARIANTS if known is _SEARCHERS else ()), *known]
    return import_string(known.get(name, name), field, choices)
