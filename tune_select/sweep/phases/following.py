"""After the search: trains what only its results could name, and drops what they no longer name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from ray import tune
from ray.tune.search import SearchGenerator
from rich.console import Console

from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.search.fixed_points import FixedPoints
from tune_select.sweep.folder.state import KeptState, fingerprint
from tune_select.sweep.interruption import stop_requested
from tune_select.sweep.phases.experiments import Experiments
from tune_select.sweep.phases.follow_up import (
    COMPOSED,
    EARLY_STOP,
    PROMOTION,
    SEARCH,
    composed_configs,
    early_stop_configs,
    promotion_configs,
)
from tune_select.sweep.plan import Plan
from tune_select.sweep.tracking import SweepTracking


@dataclass(frozen=True)
class FollowUps:
    """Replays of all seeds' histories together, matched seconds, and promotions.

    Attributes:
        plan: The plan of the sweep.
        experiments: Runs the trials.
        state: The state of the sweep, which notes what was planned.
        tracking: Where trials are logged.
        console: The terminal.
        before_each: Called before each phase begins; raises where the sweep is to stop.
    """

    plan: Plan
    experiments: Experiments
    state: KeptState
    tracking: SweepTracking
    console: Console
    before_each: Callable[[], None]

    def run(self) -> None:
        """Plan each phase by the search's results, and train what is left of it."""
        for phase, points in self._planned().items():
            if self.state.now.planned.get(phase) != fingerprint(points):  # an older version's plan
                points = self.experiments.left_to_train(phase, points)
            self._drop_what_others_planned(phase, points)
            if points:
                self.before_each()
                self.state.becomes(self.state.now.plans(phase, points))
                tune_config = tune.TuneConfig(
                    search_alg=SearchGenerator(FixedPoints(points)),
                    scheduler=SeedReplayScheduler(replay_arms=(), stop_requested=stop_requested),
                    num_samples=len(points),
                    reuse_actors=True,
                )
                # Tune asks for a few trials at a time, so they are not all known to it at first.
                planned = Counter(str(point.get("arm")) for point in points)
                self.experiments.fit(phase, {}, tune_config, planned)

    def _planned(self) -> dict[str, list[dict[str, Any]]]:
        """Configurations by phase, in the order of the phases."""
        plan, root = self.plan, self.experiments.folder.history_root
        trials, configs = self.experiments.searched()
        return {
            COMPOSED: composed_configs(plan, trials, configs, root),
            EARLY_STOP: early_stop_configs(plan.config.named_arms(), trials, configs),
            PROMOTION: promotion_configs(plan, *self._with_earlier(trials, configs)),
        }

    def _with_earlier(
        self, trials: pd.DataFrame, configs: dict[str, dict[str, Any]]
    ) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
        """The search's trials behind those of the searches that it goes on from."""
        found = self.plan.continued
        if found is None:
            return trials, configs
        base = self.plan.base_config()  # the data may lie elsewhere now
        today = {key: base[key] for key in ("data", "evaluation")}
        before = {trial_id: {**config, **today} for trial_id, config in found.configs.items()}
        searched = found.trials[found.trials["phase"] == SEARCH]
        return pd.concat([searched, trials], ignore_index=True), {**before, **configs}

    def _drop_what_others_planned(self, phase: str, points: list[dict[str, Any]]) -> None:
        """Set a phase aside whose trials were chosen by results that have changed since."""
        found = self.experiments.found(phase) if self.experiments.resume else None
        if found is None:
            return
        then = self.state.now.planned.get(phase)
        if then is not None:
            same = then == fingerprint(points)
        else:  # begun by an older version, which did not note what it planned
            wanted = {fingerprint(point) for point in points}
            same = all(fingerprint(trial.config) in wanted for trial in found.trials)
        if not same:
            ids = self.experiments.set_aside(phase)
            self.tracking.supersede(ids)
            self.console.print(
                f"The search's results have changed: {phase} is planned anew, and the "
                f"{len(ids)} trials of the old plan are set aside."
            )
