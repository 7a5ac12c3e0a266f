"""Search algorithms that start with the seed trial and compare all arms on the same points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.search import ConcurrencyLimiter, SearchAlgorithm, Searcher
from ray.tune.search.sample import Domain
from ray.tune.utils import flatten_dict

from tune_select.arms import RESOLVED_ARM, Arm, publishing
from tune_select.search.crossing import CONFIGURATION, Crossing
from tune_select.search.earlier import Earlier
from tune_select.search.foreseen import foreseen
from tune_select.search.param_space import constants_of, domains_of, searched_keys, varies
from tune_select.search.searcher import (
    SeedFirstSearcher,
    SeedFirstSearchGenerator,
    comes_whole,
)
from tune_select.search.space import merged
from tune_select.search.trial_order import TrialOrder
from tune_select.search.variants import SeedFirstVariants
from tune_select.wording import shown

__all__ = ["SeedFirstSearchGenerator", "SeedFirstSearcher", "SeedFirstVariants", "seed_first"]


def seed_first(
    search_alg: Searcher | None,
    *,
    space: Mapping[str, Any],
    seed_configs: Sequence[Mapping[str, Any]],
    arms: Sequence[str | Arm],
    seeds: Sequence[int] = (0,),
    num_samples: int = 1,
    primary_arm: str | None = None,
    replay_arms: Sequence[str] = ("cached",),
    max_concurrent: int | None = None,
    nearest_by: Sequence[str] = (),
    share: Mapping[str, str] | None = None,
    random_state: int | None = None,
    earlier: Earlier | None = None,
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
        arms: Arms that every point is trained with: names, or ``tune_select.arms.Arm`` values whose
            changes are laid over the point.
        seeds: Training seeds that every arm of every point is trained with.
        num_samples: Points drawn from a searcher; samples per grid cell otherwise. -1: no end.
        primary_arm: The arm whose results steer the searcher; by default the first of ``arms``.
        replay_arms: Which of ``arms`` need a history.
        max_concurrent: Trials alive at once at the most, the seed included.
        nearest_by: Dotted keys: a replay whose history no seed writes takes the seed whose values
            of these keys are nearest. Empty: every replay must have its own.
        share: Arms of which no training is done twice; see ``crossing.Crossing``.
        random_state: The random state of grid and random sampling.
        earlier: An earlier search of this space that this one goes on from: its points are not
            drawn again, and in place of ``num_samples`` it says how many are added.
        **crossing: Names of arms and keys that differ from the defaults, and ``history_of``; see
            ``crossing.Crossing``.

    Returns:
        The ``search_alg`` for ``tune.TuneConfig`` and the ``param_space`` for ``tune.Tuner``.

    Raises:
        ValueError: A seed leaves a searched key without a value, ``space`` sets a key that is set
            here, ``primary_arm`` is not one of ``arms``, arms, seeds or histories repeat, or
            replays would not fit the history that their seed is to write.
    """
    order = TrialOrder(
        seeded_crossing(
            space,
            seed_configs,
            arms=tuple(arms),
            seeds=tuple(seeds),
            replay_arms=tuple(replay_arms),
            seed_by=tuple(nearest_by),
            share=dict(share or {}),
            **crossing,
        ),
        earlier=earlier,
    )
    order.foresee(foreseen(space, search_alg))
    if earlier is not None:
        num_samples = _draws(space, search_alg)
    if num_samples == 0 or num_samples < -1:
        raise ValueError(f"num_samples must be at least 1, or -1 for no end, got {num_samples}")
    if search_alg is None:
        variants = SeedFirstVariants(
            order, num_samples=num_samples, max_concurrent=max_concurrent or 0, seed=random_state
        )
        return variants, dict(space)
    names = order.crossing.arm_names
    primary = primary_arm or names[0]
    if primary not in names:
        raise ValueError(f"primary_arm must be one of {names}, got {primary!r}")
    searcher: Searcher = SeedFirstSearcher(
        search_alg, order, space=space, num_samples=num_samples, primary_arm=primary
    )
    if max_concurrent is not None:
        searcher = ConcurrencyLimiter(searcher, max_concurrent=max_concurrent)
    constants = constants_of(space)
    generator = SeedFirstSearchGenerator(searcher, order.total(num_samples), constants)
    return generator, {k: v for k, v in constants.items() if not comes_whole(k, v)}


def _draws(space: Mapping[str, Any], search_alg: Searcher | None) -> int:
    """How often a space is gone through for new points: a grid once, what is drawn without end."""
    domains = flatten_dict(domains_of(space)).values()
    drawn = any(isinstance(domain, Domain) for domain in domains)
    return -1 if drawn or search_alg is not None else 1


def seeded_crossing(
    space: Mapping[str, Any], seed_configs: Sequence[Mapping[str, Any]], **crossing: Any
) -> Crossing:
    """What the points of a space are crossed with, behind their seeds.

    Args:
        space: The parameter space with all constants.
        seed_configs: One whole trial configuration per seed trial, laid over the constants. It
            also publishes at every fraction that a replay arm sets for itself.
        **crossing: The other attributes of ``Crossing``.

    Raises:
        ValueError: A seed leaves a searched key without a value, ``space`` sets a key that is set
            for every trial, or arms, seeds or histories repeat.
    """
    arms = crossing.get("arms", ())
    seeds = [publishing(_seed_config(space, config), arms) for config in seed_configs]
    found = Crossing(seed_configs=seeds, **crossing)
    _check_space(space, found)
    return found


def _seed_config(space: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """A seed's whole configuration.

    Raises:
        ValueError: A searched key has no value in it, or more than one, or space has a plain list
            where it has a value.
    """
    open_keys = sorted(searched_keys(config))
    if open_keys:
        raise ValueError(
            f"the seed trial trains with one value of each key, and {open_keys} of its "
            "configuration are searched: give it values (space says what the others search)"
        )
    for key, value in config.items():
        listed = space.get(key)
        if isinstance(listed, list) and type(value) in map(type, listed):
            raise ValueError(
                f"space sets {key} to the list {shown(listed)}, which is a constant to Tune, and "
                f"the seed to {shown(value)}: write tune.grid_search({shown(listed)}) to try each"
            )
    given = flatten_dict(dict(config))
    lacking = sorted(
        key for key in searched_keys(space) if key not in given and not _under(key, given)
    )
    if lacking:
        raise ValueError(
            f"the seed trial needs a value for every searched key, and has none for {lacking}: "
            "give one in its configuration"
        )
    whole = merged(constants_of(space), config)
    if "history" in config:
        whole["history"] = config["history"]
    return whole


def _under(key: str, given: Mapping[str, Any]) -> bool:
    return any(other.startswith(f"{key}/") for other in given)


def _check_space(space: Mapping[str, Any], crossing: Crossing) -> None:
    reserved = {crossing.arm_key, CONFIGURATION, RESOLVED_ARM} | (
        {crossing.seed_key} if varies(space.get(crossing.seed_key)) else set()
    )
    taken = sorted(reserved & set(space))
    if taken:
        raise ValueError(f"space sets {taken}, which are set for every trial: use arms and seeds")
