"""Whether a search's trials can be counted and handed out at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

MOST_TRIALS = 100_000
"""Each has a folder, a row and an MLflow run; Tune looks through all of them at every step."""


def check_size(
    cells: int, samples: int, arms: int, repeats: int, seed_values: Sequence[Sequence[Any]]
) -> None:
    """Refuse a search with more trials than can be run, before anything is enumerated.

    Args:
        cells: Configurations that the space lists, or cells of its grid; 1 for a searcher's.
        samples: ``tune.num_samples``.
        arms: Arms of every configuration.
        repeats: Training seeds of every arm.
        seed_values: What seed trials are crossed from, one list for each axis; empty for none.

    Raises:
        ValueError: How many trials there are, of what, and the remedy.
    """
    seeds = math.prod(len(values) for values in seed_values)
    if seeds > MOST_TRIALS:
        raise ValueError(
            f"tune.seed_by asks for {seeds:,} seed trials; there can be {MOST_TRIALS:,} trials: "
            "list the values that need a seed of their own (tune.seed_by: {axis: [...]})"
        )
    trials = cells * samples * arms * repeats
    if trials > MOST_TRIALS:
        raise ValueError(
            f"this sweep has {trials:,} trials ({cells:,} configurations in space, num_samples "
            f"{samples:,}, {arms:,} arms, {repeats:,} training seeds); there can be "
            f"{MOST_TRIALS:,}: list fewer values, or give ranges and draw tune.num_samples of them"
        )
