"""Whether a sweep's trials can be counted and handed out at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tune_select.search.space import Space
from tune_select.sweep.config import SweepConfig, SweepError

MOST_TRIALS = 100_000
"""Each has a folder, a row and an MLflow run; Tune looks through all of them at every step."""


def check_size(config: SweepConfig, space: Space, seed_values: Sequence[Sequence[Any]]) -> None:
    """Refuse a sweep with more trials than can be run, before anything is enumerated.

    Args:
        config: As written.
        space: Of the sweep.
        seed_values: What the seed trials are crossed from, one list for each axis of ``seed_by``.

    Raises:
        SweepError: How many trials there are, of what, and the remedy.
    """
    seeds = math.prod(len(values) for values in seed_values) if config.needs_seed() else 0
    if seeds > MOST_TRIALS:
        raise SweepError(
            f"tune.seed_by asks for {seeds:,} seed trials; there can be {MOST_TRIALS:,} trials: "
            "list the values that need a seed of their own (tune.seed_by: {axis: [...]})"
        )
    # A searcher proposes points; of the grid, Tune's own generator draws every cell.
    cells = space.cells if config.tune.searcher in ("grid", "random") or space.points else 1
    samples, repeats = config.tune.num_samples, len(config.tune.seeds)
    arms = len(config.arm_names()) + len(config.rivals)
    trials = cells * samples * arms * repeats + seeds
    if trials > MOST_TRIALS:
        raise SweepError(
            f"this sweep has {trials:,} trials ({cells:,} configurations in space, num_samples "
            f"{samples:,}, {arms:,} arms, {repeats:,} training seeds); there can be "
            f"{MOST_TRIALS:,}: list fewer values, or give ranges and draw tune.num_samples of them"
        )
