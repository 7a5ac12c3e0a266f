"""Grid and random sampling as a searcher, one point at a time."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray.tune.search import Searcher
from ray.tune.search.variant_generator import _count_variants

from tune_select.search.param_space import draw


class SampledPoints(Searcher):
    """Proposes what Tune's grid and random sampling would, point by point.

    Tune keeps hundreds of trials of its own variant generator pending, all of them drawn before the
    first result; a ladder must decide at every free slot anew.

    Args:
        space: The whole space, constants included.
        num_samples: Samples per grid cell; -1 for no end.
        random_state: The random state of the sampling.

    Attributes:
        foresees: Whether no proposal depends on results.
    """

    foresees = True

    def __init__(
        self, space: Mapping[str, Any], *, num_samples: int, random_state: int | None
    ) -> None:
        super().__init__()
        self._space = dict(space)
        self._samples = num_samples
        self._random = np.random.default_rng(random_state)  # as Tune makes it of a seed
        self._begun = 0
        self._drawn = 0
        self._cells: deque[dict[str, Any]] = deque()

    @property
    def total(self) -> int:
        """Points in all; -1 for no end."""
        if self._samples < 0:
            return -1
        return self._samples * _count_variants({"config": self._space, "num_samples": 1}, [])

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """It has its space already; Tune's domains are the same."""
        self._metric, self._mode = metric, mode
        return True

    def suggest(self, trial_id: str) -> Any:
        """The next point, or that there is none."""
        if not self._cells:
            if self._begun == self._samples:
                return Searcher.FINISHED
            self._begun += 1
            self._cells.extend(draw(self._space, self._random))
        self._drawn += 1
        return self._cells.popleft()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to learn."""

    def save(self, checkpoint_path: str) -> None:
        """Write how many were drawn: the same sampling draws them again."""
        Path(checkpoint_path).write_text(json.dumps(self._drawn))

    def restore(self, checkpoint_path: str) -> None:
        """Go on behind what was drawn; to be called before the first ``suggest``."""
        for _ in range(json.loads(Path(checkpoint_path).read_text())):
            self.suggest("")
