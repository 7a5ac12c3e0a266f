"""What ``tune.Tuner`` needs to search with a ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray.tune.search import ConcurrencyLimiter, SearchAlgorithm, Searcher

from tune_select.arms import Arm
from tune_select.search.foreseen import foreseen
from tune_select.search.ladder.climb import Rules
from tune_select.search.ladder.order import LadderOrder
from tune_select.search.ladder.ranking import Score
from tune_select.search.ladder.sampled import SampledPoints
from tune_select.search.ladder.searcher import LadderSearcher
from tune_select.search.param_space import constants_of
from tune_select.search.searcher import SeedFirstSearchGenerator, comes_whole
from tune_select.search.seed_first import seeded_crossing


def ladder(
    search_alg: Searcher | None,
    *,
    space: Mapping[str, Any],
    rungs: Sequence[Arm],
    rules: Rules,
    metric: str,
    mode: str = "max",
    loss: str = "val_loss",
    seeds: Sequence[int] = (0,),
    seed_configs: Sequence[Mapping[str, Any]] = (),
    num_samples: int = 1,
    replay_arms: Sequence[str] = (),
    nearest_by: Sequence[str] = (),
    max_concurrent: int | None = None,
    random_state: int | None = None,
    **crossing: Any,
) -> tuple[SearchAlgorithm, dict[str, Any]]:
    """A search that trains every point at the lowest rung and the best of a rung at the next.

    Each trial of a rung is a training of its own, run to its end. Trials carry ``configuration``
    (the same for a point at all rungs), ``rung`` (0 is the lowest), ``rung_name`` and
    ``promoted_from`` (the trial of the rung below). With ``rules.warm`` they carry ``start_from``
    and ``leave_weights`` too, which ``SelectionTrainable`` heeds; a trainable of one's own has to
    do so itself. Give the result to Tune as it is::

        rungs = [Rung(fraction=f).arm("random", {}, 12) for f in (0.03, 0.1, 0.3)]
        search_alg, param_space = ladder(None, space=..., num_samples=27,
                                         rungs=[*rungs, Arm.of("full")], rules=Rules(4),
                                         metric="val_accuracy")
        tune.Tuner(trainable, param_space=param_space,
                   tune_config=tune.TuneConfig(search_alg=search_alg))

    Args:
        search_alg: The searcher as in ``seed_first``: ``None`` for grid and random sampling, or
            any.
        space: The parameter space with all constants; keys as in ``seed_first``.
        rungs: What each rung trains, from the lowest; the last one is full training.
        rules: Who goes up and when; ``rules.rungs`` must be their number.
        metric: The validation metric that trials report.
        mode: Whether a larger metric is better (``max``) or a smaller one (``min``).
        loss: Name of the validation loss in the reports; used where ``rules`` rank by it.
        seeds: Training seeds; every rung trains with each of them and goes by their mean.
        seed_configs: The seeds as in ``seed_first``, where rungs replay a history; they
            publish at the fractions of all those rungs.
        num_samples: Points of a searcher; samples per grid cell otherwise; -1 for no end.
        replay_arms: Names of those rungs that replay a history.
        nearest_by: The same as in ``seed_first``.
        max_concurrent: Trials alive at once at the most.
        random_state: The random state of grid and random sampling.
        **crossing: The same as in ``seed_first``.

    Returns:
        The ``search_alg`` for ``tune.TuneConfig`` and the ``param_space`` for ``tune.Tuner``.

    Raises:
        ValueError: As ``seed_first``; or the number of rungs is not that of the rules.
    """
    if len(rungs) != rules.rungs:
        raise ValueError(f"rules are for {rules.rungs} rungs, but there are {len(rungs)}")
    order = LadderOrder(
        seeded_crossing(
            space,
            seed_configs,
            arms=tuple(rungs),
            seeds=seeds,
            replay_arms=tuple(replay_arms),
            seed_by=tuple(nearest_by),
            **crossing,
        ),
        rungs=tuple(rungs),
        rules=rules,
        measure=partial(score_of, metric=metric, mode=mode, loss=loss),
    )
    order.foresee(foreseen(space, search_alg))
    if num_samples == 0 or num_samples < -1:
        raise ValueError(f"num_samples must be at least 1, or -1 for no end, got {num_samples}")
    points, proposer = num_samples, search_alg
    if proposer is None:
        sampled = SampledPoints(space, num_samples=num_samples, random_state=random_state)
        proposer, points = sampled, sampled.total
    searcher: Searcher = LadderSearcher(proposer, order, space=space, num_samples=points)
    if max_concurrent is not None:
        searcher = ConcurrencyLimiter(searcher, max_concurrent=max_concurrent)
    constants = constants_of(space)
    generator = SeedFirstSearchGenerator(searcher, order.total(points), constants)
    return generator, {k: v for k, v in constants.items() if not comes_whole(k, v)}


def score_of(report: Mapping[str, Any], *, metric: str, mode: str, loss: str) -> Score:
    """What a trial's last report says of its configuration.

    Args:
        report: The report of the trial.
        metric: Name of the validation metric in it.
        mode: ``max`` or ``min``.
        loss: Name of the validation loss in it.
    """
    value = float(report.get(metric, float("nan")))
    return Score(-value if mode == "min" else value, float(report.get(loss, float("nan"))))
