"""A searcher that proposes what it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher


class FixedPoints(Searcher):
    """Proposes given configurations in their order, each once; survives a restore.

    Attributes:
        foresees: Whether no proposal depends on results, so that baselines need not wait for
            replays.
    """

    foresees = True

    def __init__(self, configs: list[dict[str, Any]]) -> None:
        """Propose ``configs``."""
        super().__init__()
        self._configs = configs
        self._next = 0

    @property
    def configs(self) -> list[dict[str, Any]]:
        """All of the configurations, proposed or not."""
        return list(self._configs)

    def suggest(self, trial_id: str) -> Any:
        """The next configuration, or that there is none."""
        if self._next >= len(self._configs):
            return Searcher.FINISHED
        self._next += 1
        return self._configs[self._next - 1]

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to learn."""

    def save(self, checkpoint_path: str) -> None:
        """Write how far it got; the configurations themselves come back with the tuner."""
        Path(checkpoint_path).write_text(json.dumps(self._next))

    def restore(self, checkpoint_path: str) -> None:
        """Go on from there."""
        self._next = json.loads(Path(checkpoint_path).read_text())
