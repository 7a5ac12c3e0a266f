"""What the phases after a search are planned as, without training anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
from rich.console import Console

from tests.tune_select.sweep.phases.test_follow_up import plan
from tune_select.sweep.folder.state import SweepState
from tune_select.sweep.phases.following import FollowUps


def test_the_terminal_is_told_how_many_trials_a_phase_has() -> None:
    """Tune asks a searcher for a few at a time: of four, it knows one when the first begins."""
    named = {"name": "early", "selector": "full", "match_seconds_of": "cached"}
    trials = pd.DataFrame(
        {
            "trial_id": ["a", "b", "c", "d"],
            "arm": "cached",
            "configuration": [1, 1, 2, 2],
            "best_val_accuracy": 0.5,
            "train_s": 2.0,
            "select_s": 0.5,
        }
    )
    configs = {trial_id: {"arm": "cached", "lr": 1} for trial_id in trials["trial_id"]}
    told: dict[str, Any] = {}

    class Phases:
        resume = False
        folder = SimpleNamespace(history_root="")

        def searched(self) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
            return trials, configs

        def left_to_train(self, phase: str, points: list[Any]) -> list[Any]:
            return points

        def fit(self, phase: str, space: Any, tune_config: Any, planned: Any) -> None:
            told[phase] = dict(planned)

    class State:
        now = SweepState({})

        def becomes(self, state: SweepState) -> None:
            self.now = state

    phases: Any = Phases()
    state: Any = State()
    tracking: Any = None
    chosen = plan(promote=1, arms=("cached", "full", named))
    FollowUps(chosen, phases, state, tracking, Console(), lambda: None).run()
    assert told == {"early_stop": {"early": 4}, "promotion": {"full": 1}}
