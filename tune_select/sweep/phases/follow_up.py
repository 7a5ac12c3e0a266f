"""Trials that can only be planned once the search is over."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tune_select.arms import FULL_ARM, SEED_ARM, Arm
from tune_select.history import SubsetHistory
from tune_select.history.compose import compose
from tune_select.sweep.plan import Plan
from tune_select.sweep.sections import ArmConfig

SEARCH = "search"
PROMOTION = "promotion"
EARLY_STOP = "early_stop"
COMPOSED = "composed"


def promoted(plan: Plan, trials: pd.DataFrame) -> pd.DataFrame:
    """The best configurations of the primary arm by mean validation metric over training seeds.

    Args:
        plan: The plan of the sweep; ``promote`` says how many.
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
        plan: The plan of the sweep.
        trials: Rows of the search, those of the sweeps that it goes on from among them. What these
            have promoted is not trained again.
        configs: Full trial configurations by trial id.
    """
    done = frozenset() if plan.continued is None else plan.continued.promoted()
    chosen = promoted(plan, trials)
    return [
        {**Arm.of(FULL_ARM).on(configs[trial_id]), "history": None}
        for trial_id in chosen.loc[~chosen["configuration"].isin(done), "trial_id"]
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
        if arm.match_seconds_of is None or not {"arm", "train_s", "select_s"} <= {*trials.columns}:
            continue  # a trainable that measures no seconds has none to be matched
        matched = trials[(trials["arm"] == arm.match_seconds_of) & trials["train_s"].notna()]
        for row in matched.to_dict("records"):
            budget_s = float(row["train_s"] + row["select_s"])
            config = arm.arm().on(configs[str(row["trial_id"])])
            early.append({**config, "history": None, "time_budget_s": budget_s})
    return early


def composed_configs(
    plan: Plan, trials: pd.DataFrame, configs: dict[str, dict[str, Any]], root: str
) -> list[dict[str, Any]]:
    """Replays of what all seed trials selected together, at every point and seed of the search.

    Args:
        plan: The plan of the sweep.
        trials: Rows of the search.
        configs: Full trial configurations by trial id.
        root: Where the histories lie, a path or URI; the composed ones are written there.

    Returns:
        One configuration per point, training seed and composed arm.

    Raises:
        HistoryError: The seeds' histories do not fit together, or one is not complete.
    """
    arms = plan.config.composed_arms()
    if not arms or trials.empty:
        return []
    points = trials[trials["arm"] != SEED_ARM].drop_duplicates(["configuration", "seed"])
    configured: list[dict[str, Any]] = []
    written: set[str] = set()
    for arm in arms:
        for trial_id in points["trial_id"]:
            config = plan.config.arm(arm).on(configs[str(trial_id)])
            path = f"{root}/{plan.history_of({**config, 'seed': COMPOSED})}"
            if path not in written:
                members = plan.histories_of(config)
                compose([SubsetHistory.load(f"{root}/{name}") for name in members]).save(path)
                written.add(path)
            configured.append({**config, "history": path})
    return configured
