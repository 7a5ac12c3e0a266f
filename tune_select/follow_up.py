"""Trials that can only be planned once the search is over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from ray.tune.search import Searcher

from tune_select.config import FULL_ARM, ArmConfig
from tune_select.plan import Plan

PROMOTION = "promotion"
EARLY_STOP = "early_stop"


class FixedConfigurations(Searcher):
    """Proposes given configurations in their order, each once; survives a restore."""

    def __init__(self, configs: list[dict[str, Any]]) -> None:
        """Propose ``configs``."""
        super().__init__()
        self._configs = configs
        self._next = 0

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


def promoted(plan: Plan, trials: pd.DataFrame) -> pd.DataFrame:
    """The best configurations of the primary arm by mean validation metric over training seeds.

    Args:
        plan: Of the sweep; ``promote`` says how many.
        trials: Rows of the search.

    Returns:
        One row of ``trials`` per promoted configuration, best first: that of its first seed.
    """
    column = f"best_{plan.metric}"
    if column not in trials:
        return trials.iloc[:0]
    arm = trials[(trials["arm"] == plan.config.primary_arm()) & trials[column].notna()]
    means = arm.groupby("configuration")[column].mean()
    order = means.sort_values(ascending=plan.mode == "min", kind="stable").index
    chosen = order[: plan.config.promote]
    return arm.drop_duplicates("configuration").set_index("configuration").loc[chosen].reset_index()


def promotion_configs(
    plan: Plan, trials: pd.DataFrame, configs: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Trial configurations that train the promoted points on all the data.

    Args:
        plan: Of the sweep.
        trials: Rows of the search.
        configs: Full trial configurations by trial id.
    """
    return [
        {**configs[trial_id], "arm": FULL_ARM, "history": None}
        for trial_id in promoted(plan, trials)["trial_id"]
    ]


def early_stop_configs(
    arms: list[ArmConfig], trials: pd.DataFrame, configs: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Full training cut off at the seconds that a subset arm took (Killamsetty et al., A.3).

    Args:
        arms: The sweep's named arms; those without ``match_seconds_of`` are passed over.
        trials: Rows of the search.
        configs: Full trial configurations by trial id.

    Returns:
        One configuration per trial of each matched arm, with ``time_budget_s``.
    """
    early = []
    for arm in arms:
        if arm.match_seconds_of is None or trials.empty:
            continue
        matched = trials[(trials["arm"] == arm.match_seconds_of) & trials["train_s"].notna()]
        for row in matched.to_dict("records"):
            budget_s = float(row["train_s"] + row["select_s"])
            config = {**configs[str(row["trial_id"])], "arm": arm.name, "history": None}
            early.append({**config, "time_budget_s": budget_s})
    return early
